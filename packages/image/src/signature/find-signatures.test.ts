import { expect, test } from 'vitest'
import { MEDIA } from '../oci/media-types.ts'
import { findStatements } from '../statement/find-statements.ts'
import { bytesOf } from '../testing/registry-client.ts'
import { newKey, published } from '../testing/signing.ts'
import { findSigstoreSignatures, signatureTag } from './find-signatures.ts'
import { SIMPLE_SIGNING } from './stored-signature.ts'

const ENVELOPE = 'application/vnd.dsse.envelope.v1+json'
const MiB = 1024 * 1024

/** An image with so many layers under a tag of cosign's, each said to be so large. None is there to be fetched. */
async function tagged(kind: 'sig' | 'att', mediaType: string, count: number, size: number) {
  const image = await published()
  const layers = Array.from({ length: count }, (_, i) => ({
    mediaType,
    digest: `sha256:${String(i).padStart(64, '0')}`,
    size,
  }))
  const config = { mediaType: MEDIA.config, digest: `sha256:${'f'.repeat(64)}`, size: 2 }
  const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers }
  image.server.put('team/app', signatureTag(image.digest, kind), bytesOf(JSON.stringify(manifest)), MEDIA.manifest)
  const fetched = () => image.server.seen.filter(({ path }) => /\/blobs\/sha256:0/.test(path)).length
  return { ...image, reader: image.client.reader(image.name), fetched }
}

test('H10 a signature that is larger than any may be is told as one that does not count, and not fetched', async () => {
  const { reader, digest, fetched } = await tagged('sig', SIMPLE_SIGNING, 1, 5 * MiB)
  expect(await findSigstoreSignatures(reader, digest)).toMatchObject([
    { kind: 'unreadable', error: { code: 'signature.malformed' } },
  ])
  expect(fetched()).toBe(0)
})

test('H10 signatures of one image, however small, are not read without end', async () => {
  const { reader, digest, fetched } = await tagged('sig', SIMPLE_SIGNING, 301, 10)
  await expect(findSigstoreSignatures(reader, digest)).rejects.toMatchObject({ code: 'signature.limit' })
  expect(fetched()).toBe(300)
})

test('H10 signatures of one image, however few, do not fill the memory; statements about it neither', async () => {
  const signed = await tagged('sig', SIMPLE_SIGNING, 17, 4 * MiB)
  await expect(findSigstoreSignatures(signed.reader, signed.digest)).rejects.toMatchObject({ code: 'signature.limit' })
  expect(signed.fetched()).toBe(16)
  const stated = await tagged('att', ENVELOPE, 2, 40 * MiB)
  await expect(
    findStatements(stated.reader, stated.digest, { kind: 'keys', keys: [newKey().public] }),
  ).rejects.toMatchObject({ code: 'signature.limit' })
  expect(stated.fetched()).toBe(1)
})
