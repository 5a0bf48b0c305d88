import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildImage } from '../build/build-image.ts'
import { readVerified, resolveImage } from '../oci/chain.ts'
import { descriptorJson } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { blobPath, ImageLayout } from './layout.ts'
import { copyToLayout } from '../registry/transfer.ts'
import { LayoutWriter, putDocument } from './write-layout.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-layout-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
let count = 0
const fresh = () => path.join(scratch, `d${count++}`)
const linux = { os: 'linux', architecture: 'amd64' }
const build = async (text = 'hi') => {
  const directory = fresh()
  const files = [{ kind: 'file', path: 'hello', bytes: new TextEncoder().encode(text) }] as const
  const image = await buildImage(
    { layers: [{ kind: 'files', files }], config: { entrypoint: ['/hello'] }, name: 'v1' },
    directory,
  )
  return { directory, image }
}

test('an image that was written is found by its name and resolves by digest', async () => {
  const { directory, image } = await build()
  const layout = await ImageLayout.open(directory)
  expect(layout.find('v1').digest).toBe(image.digest)
  const resolved = await resolveImage(layout, image.digest, { platform: linux })
  expect(resolved.config.execution.entrypoint).toEqual(['/hello'])
  expect(() => layout.find('v2')).toThrow(expect.objectContaining({ code: 'layout.missing' }))
})

test('a name moves to the newest image, the older stays as a blob', async () => {
  const { directory, image } = await build()
  const writer = await LayoutWriter.open(directory)
  const other = await putDocument(
    writer,
    MEDIA.manifest,
    JSON.parse(readFileSync(blobPath(directory, image.digest), 'utf8') + ' '),
  )
  await writer.addToIndex({ ...other, annotations: new Map([['note', 'x']]) }, 'v1')
  const layout = await ImageLayout.open(directory)
  expect(layout.index.manifests).toHaveLength(1)
  expect(layout.find('v1').annotations.get('note')).toBe('x')
})

test('an image that is listed again without a name keeps the name it has', async () => {
  const { directory, image } = await build()
  const writer = await LayoutWriter.open(directory)
  await writer.addToIndex(image.manifest)
  expect((await ImageLayout.open(directory)).find('v1').digest).toBe(image.digest)
  await copyToLayout(await ImageLayout.open(directory), image.digest, writer)
  const layout = await ImageLayout.open(directory)
  expect(layout.find('v1').digest).toBe(image.digest)
  expect(layout.index.manifests).toHaveLength(1)
})

test('a layout that was never finished is finished', async () => {
  const directory = fresh()
  mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true })
  await LayoutWriter.open(directory)
  rmSync(path.join(directory, 'oci-layout'))
  await LayoutWriter.open(directory)
  expect((await ImageLayout.open(directory)).index.manifests).toEqual([])
})

test('a fresh layout of umoci, whose list is null, is an empty one', async () => {
  const directory = path.join(scratch, 'umoci')
  mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true })
  writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(path.join(directory, 'index.json'), '{"schemaVersion":2,"manifests":null}')
  expect((await ImageLayout.open(directory)).index.manifests).toEqual([])
  await expect(LayoutWriter.open(directory)).resolves.toBeInstanceOf(LayoutWriter)
})

test.each(['manifest', 'config'] as const)('H06 a changed byte in the stored %s is found', async (kind) => {
  const { directory, image } = await build()
  const file = blobPath(directory, image[kind].digest)
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('amd64', 'arm64').replace('"schemaVersion":2', '"schemaVersion":3'))
  const layout = await ImageLayout.open(directory)
  await expect(resolveImage(layout, image.digest, { platform: linux })).rejects.toMatchObject({
    code: 'digest.mismatch',
  })
})

test('H06 a blob that is longer than its descriptor says is found, even if only by one byte', async () => {
  const { directory, image } = await build()
  const layer = image.layers[0]!.descriptor
  writeFileSync(blobPath(directory, layer.digest), '\0', { flag: 'a' })
  const layout = await ImageLayout.open(directory)
  await expect(readVerified(layout, layer, 1e6, 'layer')).rejects.toMatchObject({
    code: 'digest.mismatch',
    message: expect.stringMatching(/longer/),
  })
})

test.each([0, 1, 256 * 1024, 600_000, 600_001])(
  'a blob reads the same from byte %i on, in one memory',
  async (offset) => {
    const { directory } = await build()
    const bytes = new Uint8Array(600_000).map((_, at) => at / 251)
    const blob = await (await LayoutWriter.open(directory)).putBytes(bytes)
    const read: Uint8Array[] = []
    for await (const chunk of (await ImageLayout.open(directory)).openBlob(blob, { offset, transient: true }))
      read.push(chunk.slice())
    expect(Buffer.concat(read).equals(bytes.subarray(offset))).toBe(true)
  },
)

test('H07 a blob that is a symbolic link is not read', async () => {
  const { directory, image } = await build()
  const file = blobPath(directory, image.config.digest)
  renameSync(file, `${file}-elsewhere`)
  symlinkSync(`${file}-elsewhere`, file)
  const layout = await ImageLayout.open(directory)
  await expect(resolveImage(layout, image.digest, { platform: linux })).rejects.toMatchObject({
    code: 'layout.malformed',
  })
})

test('H02 the manifest behind an index must fit the platform that the index claims', async () => {
  const { directory, image } = await build()
  const writer = await LayoutWriter.open(directory)
  const entry = (architecture: string, digest = image.digest) =>
    descriptorJson({ ...image.manifest, digest, platform: { os: 'linux', architecture } })
  const index = async (manifests: unknown[]) =>
    (await putDocument(writer, MEDIA.index, { schemaVersion: 2, mediaType: MEDIA.index, manifests })).digest
  const good = await index([entry('amd64'), entry('arm64')])
  const two = await index([entry('amd64'), entry('amd64', digestOf(new Uint8Array()))])
  const none = await index([entry('riscv64')])
  const layout = await ImageLayout.open(directory)
  const resolved = await resolveImage(layout, good, { platform: linux })
  expect([resolved.requested, resolved.index?.digest, resolved.manifestDigest]).toEqual([good, good, image.digest])
  const refuse = (digest: typeof good, platform = linux) => expect(resolveImage(layout, digest, { platform })).rejects
  await refuse(good, { os: 'linux', architecture: 'arm64' }).toMatchObject({
    code: 'chain.platform',
    message: expect.stringMatching(/made for linux\/amd64/),
  })
  await refuse(two).toMatchObject({ code: 'chain.platform', message: expect.stringMatching(/two manifests/) })
  await refuse(none).toMatchObject({ code: 'chain.platform', message: expect.stringMatching(/only linux\/riscv64/) })
})

test('H02 a manifest that lists other layers than its configuration is refused', async () => {
  const { directory, image } = await build()
  const writer = await LayoutWriter.open(directory)
  const document = JSON.parse(readFileSync(blobPath(directory, image.digest), 'utf8'))
  document.layers.push(document.layers[0])
  const { digest } = await putDocument(writer, MEDIA.manifest, document)
  await expect(resolveImage(await ImageLayout.open(directory), digest, { platform: linux })).rejects.toMatchObject({
    code: 'chain.layers',
  })
})

test('a stream that is not what was promised leaves no blob behind', async () => {
  const writer = await LayoutWriter.open(fresh())
  const bytes = new Uint8Array([1, 2, 3])
  async function* source() {
    yield bytes
  }
  const promised = { digest: digestOf(new Uint8Array([9])), size: 3 }
  await expect(writer.putStream(source(), promised)).rejects.toMatchObject({ code: 'digest.mismatch' })
  await expect((await ImageLayout.open(writer.directory)).has(promised)).resolves.toBe(false)
})

test('a directory that holds something else is not taken for a layout', async () => {
  const directory = fresh()
  mkdirSync(directory)
  writeFileSync(path.join(directory, 'precious'), '')
  await expect(LayoutWriter.open(directory)).rejects.toMatchObject({ code: 'layout.malformed' })
  await expect(ImageLayout.open(directory)).rejects.toMatchObject({ code: 'layout.missing' })
  writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')
  await expect(ImageLayout.open(directory)).rejects.toMatchObject({ code: 'layout.malformed' })
})

test('a layout is not written where a file is, nor where no directory can be made', async () => {
  const file = fresh()
  writeFileSync(file, 'precious')
  await expect(LayoutWriter.open(file)).rejects.toMatchObject({
    code: 'layout.malformed',
    message: expect.stringContaining('not a directory'),
  })
  expect(readFileSync(file, 'utf8')).toBe('precious')
  await expect(LayoutWriter.open('/proc/vouchsafe/layout')).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a name that is not there is answered with those that are', async () => {
  const { directory } = await build()
  const layout = await ImageLayout.open(directory)
  expect(() => layout.find('v9')).toThrow(/no image named v9; there is v1$/)
})
