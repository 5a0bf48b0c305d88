import { expect, test } from 'vitest'
import { ImageError } from '../../errors.ts'
import { member } from '../../oci/json.ts'
import { newKey, pem, published, said } from '../../testing/signing.ts'
import { isSignedBy, parsePublicKey, type VerificationKey } from '../verification-key.ts'
import type { SchemeModule } from './scheme.ts'

interface Detached {
  readonly place: string
  readonly signature: Uint8Array
}

/** A scheme as somebody else might bring it: bare signatures over the manifest's bytes, from a place of their own. */
function approvalService(kept: ReadonlyMap<string, readonly Uint8Array[]>): SchemeModule<Detached, VerificationKey> {
  return {
    name: 'hospital-approvals',
    fetch: async ({ digest }) =>
      (kept.get(digest) ?? []).map((signature, i) => ({ place: `approvals[${i}]`, signature })),
    verify: async ({ place, signature }, key, documents) => {
      const signed = documents.find(({ bytes }) => isSignedBy(key, bytes, signature))
      if (signed === undefined) throw new ImageError('signature.unverified', `${place}: not by the hospital`)
      return { key: key.id, digest: signed.digest, name: undefined }
    },
    readTrust: async (parameters, { material }) => {
      const where = member(parameters, 'keyPath')
      if (typeof where !== 'string' || Object.keys(parameters).length !== 1)
        throw new ImageError('policy.malformed', 'hospital-approvals: exactly keyPath is wanted')
      return parsePublicKey(await material(where), where)
    },
  }
}

const key = newKey('ed25519')
const material = async () => Buffer.from(pem(key))
const wanted = (more: object = {}, parameters: object = { keyPath: 'hospital.pub' }) => ({
  type: 'vouchsafeScheme',
  scheme: 'hospital-approvals',
  parameters,
  signedIdentity: { type: 'vouchsafeDigestOnly' },
  ...more,
})

test('GU-28 a scheme of one’s own: fetched, checked and read by its module, and held against the image by the policy', async () => {
  const { decide, source, digest } = await published()
  const { bytes } = await source.readManifest(digest, 1e6)
  const kept = new Map([[digest as string, [newKey('ed25519').sign(bytes), key.sign(bytes)]]])
  const schemes = [approvalService(kept)]
  const decision = await decide([wanted()], { schemes, material })
  expect(decision).toMatchObject({ kind: 'accept', signers: [{ key: key.public.id, signed: 'manifest' }] })
  expect(said(decision)).toContain('signature.unverified') // of the other one, beside it
  // it signs no name, so where names count it does not
  const named = await decide([wanted({ signedIdentity: { type: 'matchRepository' } })], { schemes, material })
  expect([named.kind, said(named)]).toEqual(['refuse', expect.stringContaining('signature.mismatch')])
  kept.set(digest, [newKey('ed25519').sign(bytes)])
  expect((await decide([wanted()], { schemes, material })).kind).toBe('refuse')
  kept.delete(digest)
  expect(said(await decide([wanted()], { schemes, material }))).toContain('the image carries no signature')
})

test('GU-28 a scheme that says another digest, or whose module is not there, fulfils nothing', async () => {
  const { decide, source, digest } = await published()
  const { bytes } = await source.readManifest(digest, 1e6)
  const honest = approvalService(new Map([[digest as string, [key.sign(bytes)]]]))
  const other = `sha256:${'0'.repeat(64)}` as typeof digest
  const lying: typeof honest = { ...honest, verify: async () => ({ key: 'k', digest: other, name: undefined }) }
  const decision = await decide([wanted()], { schemes: [lying], material })
  expect([decision.kind, said(decision)]).toEqual(['refuse', expect.stringContaining('another image')])
  expect(said(await decide([wanted()], { material }))).toContain('no module here knows this scheme')
  await expect(decide([wanted({}, { key: 'x' })], { schemes: [honest], material })).rejects.toMatchObject({
    code: 'policy.malformed',
  })
})

test.each<[string, object]>([
  ['without a name', { scheme: undefined }],
  ['with a name that is none', { scheme: '../x' }],
  ['without parameters', { parameters: undefined }],
  ['with a member that nobody knows', { threshold: 1 }],
])('GU-28 H05 a scheme %s makes the whole policy invalid', async (_what, change) => {
  const { decide } = await published()
  await expect(async () => decide([wanted(change)])).rejects.toMatchObject({ code: 'policy.malformed' })
})
