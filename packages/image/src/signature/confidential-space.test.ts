import { expect, test } from 'vitest'
import type { Digest } from '../oci/digest.ts'
import { attachCosign } from '../sign/attach.ts'
import { cosignPayload, signCosign } from '../sign/sign-payload.ts'
import { newKey, published } from '../testing/signing.ts'
import { claimSignatures } from './confidential-space.ts'
import { findSigstoreSignatures } from './find-signatures.ts'

test('CS-14 signatures by the key in their own payload become claims; wrong ones stop none of the others', async () => {
  const { client, name, digest, reference } = await published()
  const keys = [newKey(), newKey('rsa'), newKey('pss')]
  const members = (key: (typeof keys)[number]) => ({ key: key.public, algorithm: key.algorithm })
  const what = { digest, dockerReference: reference }
  const other = { ...what, digest: `sha256:${'0'.repeat(64)}` as Digest }
  for (const key of keys) await attachCosign(client, name, digest, signCosign(cosignPayload(what, members(key)), key))
  const [first] = keys
  // another's key in the payload, another image, no key at all
  await attachCosign(client, name, digest, signCosign(cosignPayload(what, members(first!)), newKey()))
  await attachCosign(client, name, digest, signCosign(cosignPayload(other, members(first!)), first!))
  await attachCosign(client, name, digest, signCosign(cosignPayload(what), first!))
  const { claims, errors } = claimSignatures(await findSigstoreSignatures(client.reader(name), digest), digest)
  expect(claims.map(({ keyId, algorithm }) => [keyId, algorithm])).toEqual(
    keys.map((key) => [key.public.id, key.algorithm]),
  )
  expect(errors.map(({ error }) => error.code)).toEqual([
    'signature.unverified',
    'signature.mismatch',
    'signature.malformed',
  ])
})
