import { describe, expect, test } from 'vitest'
import { ImageLayout } from '../layout/layout.ts'
import { resolveImage } from '../oci/chain.ts'
import type { Digest } from '../oci/digest.ts'
import { rawTar, type RawEntry } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { counting, image as stored } from '../testing/pull.ts'
import { dir, file, hard, link } from '../testing/unpack.ts'
import { diffImages, type ImageView } from './diff-images.ts'
import { isPackageDatabase, listPackages, parseApkInstalled, parseDpkgStatus } from './packages.ts'
import { readContents } from './read-contents.ts'
import { RecordingDisk } from './recording-disk.ts'

const fresh = scratchSpace('diff')
const platform = { os: 'linux', architecture: 'amd64' }

async function view(layers: readonly (readonly RawEntry[])[], config: object = {}): Promise<ImageView> {
  const directory = fresh()
  const { digest } = writeRawImage(
    directory,
    layers.map((entries) => ({ tar: rawTar(entries) })),
    { config },
  )
  const source = await ImageLayout.open(directory)
  const image = await resolveImage(source, digest, { platform })
  return { image, contents: await readContents(source, image, { capture: isPackageDatabase }) }
}

const status = (version: string) =>
  `Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n`

test('an image is the same as itself, and says so', async () => {
  const one = await view([[file('a')]], { Env: ['A=1'] })
  expect(diffImages(one, one)).toEqual({
    same: true,
    before: one.image.manifestDigest,
    after: one.image.manifestDigest,
    settings: [],
    environment: [],
    labels: [],
    layers: { kept: 1, removed: [], added: [], repacked: 0 },
    files: { changes: [], total: 0 },
    packages: [],
  })
})

test('what starts, as whom, with which variables and labels', async () => {
  const before = await view([[file('a')]], {
    Entrypoint: ['/a'],
    User: 'nobody',
    Env: ['A=1', 'B=2'],
    Labels: { x: '1', y: '1' },
  })
  const after = await view([[file('a')]], {
    Entrypoint: ['/a', '-v'],
    Env: ['B=3', 'C=x=y'],
    Labels: { x: '1', y: '2' },
  })
  const diff = diffImages(before, after)
  expect(diff.settings).toEqual([
    { name: 'entrypoint', before: '["/a"]', after: '["/a","-v"]' },
    { name: 'user', before: 'nobody' },
  ])
  expect(diff.environment).toEqual([
    { name: 'A', before: '1' },
    { name: 'B', before: '2', after: '3' },
    { name: 'C', after: 'x=y' },
  ])
  expect(diff.labels).toEqual([{ name: 'y', before: '1', after: '2' }])
  expect(diff.layers).toMatchObject({ kept: 1, removed: [], added: [] })
})

test('files as they are after all layers: whiteouts, links and holes included', async () => {
  const before = await view([[dir('d'), file('d/a'), file('d/b'), { ...file('run'), mode: 0o755 }, link('l', 'x')]])
  const after = await view([
    [dir('d'), file('d/a'), file('d/b'), file('run'), link('l', 'y')],
    [{ name: 'd/.wh.a' }, hard('h', 'd/b'), { ...file('run'), mode: 0o4755, uid: 5 }],
  ])
  expect(
    diffImages(before, after).files?.changes.map(({ path, what, before, after }) => [
      path,
      before?.kind,
      after?.kind,
      ...what,
    ]),
  ).toEqual([
    ['d/a', 'file', undefined],
    ['h', undefined, 'file'],
    ['l', 'symlink', 'symlink', 'target'],
    ['run', 'file', 'file', 'mode', 'owner'],
  ])
  expect(after.contents?.files.get('h')?.content).toBe(after.contents?.files.get('d/b')?.content)
})

test('H09 devices, FIFOs and file capabilities are what a reader must see', async () => {
  const capable = (entry: RawEntry, value: number[]): RawEntry => ({
    ...entry,
    pax: [['SCHILY.xattr.security.capability', Buffer.from(value)]],
  })
  const before = await view([[file('ping'), capable(dir('d'), [1]), { name: 'null', type: '3', device: [1, 3] }]])
  const after = await view([
    [file('ping'), capable(dir('d'), [1]), { name: 'null', type: '3', device: [1, 3] }],
    [capable(file('ping'), [1, 0, 0, 2]), { name: 'null', type: '4', device: [8, 0] }, { name: 'pipe', type: '6' }],
    [{ ...dir('d'), mode: 0o700 }],
  ])
  expect(
    diffImages(before, after).files?.changes.map(({ path, what, after }) => [path, after?.content, ...what]),
  ).toEqual([
    ['d', '', 'mode'],
    ['null', 'block-device 8:0', 'device'],
    ['ping', expect.any(String), 'attributes'],
    ['pipe', 'fifo'],
  ])
  expect(after.contents?.files.get('ping')?.attributes).toEqual({ 'security.capability': '01000002' })
})

test('H10 a layer that is stored in more than it may hold is not read', async () => {
  const { source, digest } = await stored([[file('a', 'x'.repeat(6000))]])
  const read: Digest[] = []
  const spy = counting(source, (one) => read.push(one))
  const image = await resolveImage(source, digest, { platform })
  await expect(readContents(spy, image, { limits: { maxLayerBytes: 5000 } })).rejects.toMatchObject({
    code: 'unpack.limit',
  })
  expect(read).toEqual([])
})

test('H10 attributes count like what is kept: an image cannot fill the memory of who reads it', () => {
  const disk = new RecordingDisk(() => false)
  const attributes = new Map([['user.big', new Uint8Array(33 * 1024 * 1024)]])
  disk.setAttributes([{ path: 'a', attributes }])
  expect(() => disk.setAttributes([{ path: 'b', attributes }])).toThrow(
    expect.objectContaining({ code: 'unpack.limit', entry: 'b' }),
  )
})

test('a sparse file and the same file written out are the same content', async () => {
  const sparse: RawEntry = {
    name: 'f',
    body: 'ab',
    pax: [
      ['GNU.sparse.size', '100000'],
      ['GNU.sparse.map', '70000,2'],
    ],
  }
  const plain = file('f', `${'\0'.repeat(70_000)}ab${'\0'.repeat(29_998)}`)
  const [one, two] = [await view([[sparse]]), await view([[plain]])]
  expect(one.contents?.files.get('f')).toEqual(two.contents?.files.get('f'))
})

test('packages of Debian, Alpine and npm, by version', async () => {
  const npm = (name: string, version: string) =>
    file(`app/node_modules/${name}/package.json`, JSON.stringify({ name, version }))
  const before = await view([
    [
      file('var/lib/dpkg/status', status('2.36-9')),
      npm('left-pad', '1.0.0'),
      file('lib/apk/db/installed', 'C:Q1\nP:musl\nV:1.2.4-r1\nA:x86_64\n'),
    ],
  ])
  const after = await view([
    [file('var/lib/dpkg/status', status('2.36-10')), npm('left-pad', '1.0.0'), npm('@s/right-pad', '2.0.0')],
  ])
  expect(diffImages(before, after).packages).toEqual([
    { name: 'apk:musl:x86_64', before: '1.2.4-r1' },
    { name: 'deb:libc6:amd64', before: '2.36-9', after: '2.36-10' },
    { name: 'npm:@s/right-pad', after: '2.0.0' },
  ])
  expect(listPackages(before.contents!.captured).map((one) => one.name)).toEqual(['musl', 'libc6', 'left-pad'])
})

test('files are not claimed to be equal when nobody read them', async () => {
  const { image } = await view([[file('a')]])
  expect(diffImages({ image }, await view([[file('b')]]))).toMatchObject({
    files: undefined,
    packages: undefined,
    same: false,
  })
})

describe('package databases', () => {
  test('what was removed does not count, and a stanza without a status does', () => {
    expect(parseDpkgStatus(status('1')).map((one) => one.name)).toEqual(['libc6'])
    expect(parseDpkgStatus('Package: tzdata\nVersion: 2024a\n')).toEqual([
      { system: 'deb', name: 'tzdata', version: '2024a' },
    ])
  })

  test('damaged records are passed over', () => {
    expect(parseDpkgStatus('Package: a\n\nVersion: 1\n\n:::')).toEqual([])
    expect(parseApkInstalled('P:a\n\nV:1\n')).toEqual([])
    expect(listPackages(new Map([['x/node_modules/y/package.json', new TextEncoder().encode('{"name":1}')]]))).toEqual(
      [],
    )
    expect(listPackages(new Map([['x/node_modules/y/package.json', new TextEncoder().encode('{')]]))).toEqual([])
  })
})
