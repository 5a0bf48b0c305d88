import { generateKeyPairSync } from 'node:crypto'
import { utf8 } from '@vouchsafe/core'
import { expect, test } from 'vitest'
import { ImageLayout } from '../layout/layout.ts'
import { LayoutWriter, putDocument } from '../layout/write-layout.ts'
import { type Descriptor, descriptorJson } from '../oci/descriptor.ts'
import { type ImageIndex, parseManifestOrIndex } from '../oci/manifest.ts'
import { MEDIA } from '../oci/media-types.ts'
import type { Platform } from '../oci/platform.ts'
import { rawTar } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { file } from '../testing/unpack.ts'
import { decryptImage } from './decrypt-image.ts'
import { encryptImage } from './encrypt-image.ts'
import { rehearseDecryption } from './rehearse.ts'
import { jweKeys, jweRecipients } from './schemes/jwe.ts'

const fresh = scratchSpace('encrypt-index')
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const recipients = [jweRecipients([{ key: ec.publicKey }])]
const holders = [jweKeys([{ key: ec.privateKey }])]
const amd64: Platform = { os: 'linux', architecture: 'amd64' }

/** An index over one image, and what `entries` adds to it. */
async function index(entries: (writer: LayoutWriter, image: Descriptor) => Promise<readonly object[]>) {
  const directory = fresh()
  writeRawImage(directory, [{ tar: rawTar([file('app', 'secret')]) }])
  const writer = await LayoutWriter.open(directory)
  const image = (await ImageLayout.open(directory)).find('v1')
  const made = await putDocument(writer, MEDIA.index, {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: await entries(writer, { ...image, annotations: new Map() }),
  })
  await writer.addToIndex(made, 'all')
  return { source: await ImageLayout.open(directory), digest: made.digest, image }
}

/** As BuildKit puts it beside an image: its configuration is an image's, and its layer a statement about the image. */
async function attestation(writer: LayoutWriter, image: Descriptor): Promise<object> {
  const statement = JSON.stringify({ subject: [{ digest: { sha256: image.digest.slice(7) } }], packages: ['openssl'] })
  const layer = { mediaType: 'application/vnd.in-toto+json', ...(await writer.putBytes(utf8(statement))) }
  const unknown = { architecture: 'unknown', os: 'unknown' }
  const config = await putDocument(writer, MEDIA.config, {
    ...unknown,
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  })
  const made = await putDocument(writer, MEDIA.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: descriptorJson(config),
    layers: [layer],
  })
  const annotations = {
    'vnd.docker.reference.digest': image.digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  }
  return { ...descriptorJson({ ...made, annotations: new Map(Object.entries(annotations)) }), platform: unknown }
}

async function entriesOf(directory: string, name: string): Promise<ImageIndex> {
  const layout = await ImageLayout.open(directory)
  const { bytes, mediaType } = await layout.readManifest(layout.find(name).digest, 1e6)
  return parseManifestOrIndex(bytes, mediaType, name) as ImageIndex
}

test('GU-11 an index is encrypted without the attestations beside its images, which would show what the layers hide', async () => {
  const { source, digest, image } = await index(async (writer, image) => [
    { ...descriptorJson(image), platform: amd64 },
    await attestation(writer, image),
  ])
  const [, beside] = (await entriesOf(source.place, 'all')).manifests
  const directory = fresh()
  const writer = await LayoutWriter.open(directory)
  const made = await encryptImage({ source, digest, recipients, name: 'v1' }, writer)
  expect(made.leftOut).toEqual([beside?.digest])
  const { manifests } = await entriesOf(directory, 'v1')
  expect(manifests.map(({ platform }) => platform)).toEqual([amd64])
  const sealed = await ImageLayout.open(directory)
  expect(await sealed.has({ digest: beside!.digest, size: beside!.size })).toBe(false)
  expect(await rehearseDecryption(sealed, made.digest, made.decryptor)).toMatchObject([
    { platform: amd64, encryptedLayers: 1 },
  ])
  const out = fresh()
  await decryptImage({ source: sealed, digest: made.digest, holders, name: 'v1' }, await LayoutWriter.open(out))
  expect((await entriesOf(out, 'v1')).manifests.map((entry) => entry.digest)).toEqual([image.digest])
})

test('an image that its index names no platform for is rehearsed as well', async () => {
  const { source, digest } = await index(async (_writer, image) => [descriptorJson(image)])
  const directory = fresh()
  const made = await encryptImage({ source, digest, recipients }, await LayoutWriter.open(directory))
  const sealed = await ImageLayout.open(directory)
  expect(await rehearseDecryption(sealed, made.digest, made.decryptor)).toMatchObject([{ platform: amd64 }])
  const other = await encryptImage({ source, digest, recipients }, await LayoutWriter.open(fresh()))
  await expect(rehearseDecryption(sealed, made.digest, other.decryptor)).rejects.toMatchObject({
    code: 'encryption.no-key',
  })
})

test('an index without any image has nothing to rehearse, which is an error', async () => {
  const { source, digest } = await index(async (writer, image) => [await attestation(writer, image)])
  const directory = fresh()
  const made = await encryptImage({ source, digest, recipients }, await LayoutWriter.open(directory))
  expect(made.leftOut).toHaveLength(1)
  await expect(
    rehearseDecryption(await ImageLayout.open(directory), made.digest, made.decryptor),
  ).rejects.toMatchObject({ code: 'encryption.required' })
})
