import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { encodeTpmPublic, objectAttributes, parseTpmPublic } from '../codec/public-area.ts'
import { TEMPLATES } from '../codec/templates.ts'
import { digest } from '../crypto/digest.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { recorded } from '../testing/structures.ts'
import { policyDigest } from '../tpm/policy.ts'
import type { Policy } from '../tpm/policy.ts'
import { createImportBlob, sealToKey } from './import-blob.ts'

interface Vector {
  readonly parent: 'rsa' | 'ecc'
  readonly parentPublic: string
  readonly parentPrivatePkcs8Pem: string
  readonly sensitive: string
  readonly seedValue: string
  readonly pcrs: { readonly hash: 'sha256'; readonly pcrs: Record<string, string> } | null
  readonly seed: string
  readonly ephemeralPrivate?: string
  readonly expect: { readonly publicArea: string; readonly duplicate: string; readonly encryptedSeed: string }
}

const bytes = (value: string) => new Uint8Array(Buffer.from(value, 'hex'))
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const text = (value: string) => new TextEncoder().encode(value)

function policyOf({ pcrs }: Vector): Uint8Array | undefined {
  if (pcrs === null) return undefined
  const values = new Map(Object.entries(pcrs.pcrs).map(([pcr, value]) => [Number(pcr), bytes(value)]))
  const selections = [{ hash: pcrs.hash, pcrs: [...values.keys()] }]
  return policyDigest([{ kind: 'pcr', selections, values: [{ bank: pcrs.hash, values }] }])
}

describe.skipIf(missingVectors())('sealToKey gives the recorded blob', () => {
  const file = missingVectors() ? '{"importBlob":[]}' : readVectorText('gce/tpm/derived/tpm-crypto.json')
  const { importBlob: vectors } = JSON.parse(file) as { importBlob: Vector[] }

  test.each(vectors.map((vector, at) => ({ at, ...vector })))('$at for an $parent parent', (vector) => {
    const authPolicy = policyOf(vector)
    const blob = sealToKey({
      parent: parseTpmPublic(bytes(vector.parentPublic)),
      data: bytes(vector.sensitive),
      seedValue: bytes(vector.seedValue),
      seed: bytes(vector.ephemeralPrivate ?? vector.seed),
      ...(authPolicy === undefined ? {} : { authPolicy }),
    })
    expect(hex(encodeTpmPublic(blob.public))).toBe(vector.expect.publicArea)
    expect(hex(blob.duplicate)).toBe(vector.expect.duplicate)
    if (vector.parent === 'ecc') expect(hex(blob.encryptedSeed)).toBe(vector.expect.encryptedSeed)
    else expect(hex(decryptSeed(vector, blob.encryptedSeed))).toBe(vector.seed)
  })
})

function decryptSeed(vector: Vector, encrypted: Uint8Array): Uint8Array {
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const key = createPrivateKey(vector.parentPrivatePkcs8Pem)
  return privateDecrypt({ key, padding, oaepHash: 'sha256', oaepLabel: Buffer.from('DUPLICATE\0') }, encrypted)
}

describe('sealed to a key of a TPM', () => {
  const get = useTpm()
  const data = text('secret')

  test.each(['ekRsa2048', 'ekEccP256', 'ekEccP384H', 'ekEccP521H', 'srkRsa2048', 'srkEccP256'] as const)(
    '%s, data open there and nowhere else',
    async (template) => {
      const hierarchy = template.startsWith('ek') ? 'endorsement' : 'owner'
      await using parent = await get().createPrimary({ hierarchy, template: TEMPLATES[template] })
      const blob = sealToKey({ parent: parent.public, data })
      expect(await get().unsealImported({ parent, blob })).toEqual(data)
      await using other = await get().createPrimary({
        hierarchy: 'platform',
        template: TEMPLATES[template],
      })
      await expect(get().unsealImported({ parent: other, blob })).rejects.toMatchObject({ code: 'tpm.response' })
    },
  )

  test('under registers, data open while those hold', async () => {
    await using parent = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    const values = [await get().pcrRead('sha256', [4])]
    const policy: Policy = [{ kind: 'pcr', selections: [{ hash: 'sha256', pcrs: [4] }], values }]
    const blob = sealToKey({ parent: parent.public, data, authPolicy: policyDigest(policy) })
    expect(await get().unsealImported({ parent, blob, policy })).toEqual(data)
    await expect(get().unsealImported({ parent, blob })).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_UNAVAILABLE'))
    await get().pcrEvent(4, text('something else'))
    await expect(get().unsealImported({ parent, blob, policy })).rejects.toMatchObject(tpmRefuses('TPM_RC_VALUE'))
  })

  test('changed in any byte, data do not open', async () => {
    await using parent = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const blob = sealToKey({ parent: parent.public, data })
    const flip = (value: Uint8Array, at: number) => value.with(at, (value[at] ?? 0) ^ 1)
    for (let at = 0; at < blob.duplicate.length; at += 3) {
      const changed = { ...blob, duplicate: flip(blob.duplicate, at) }
      await expect(get().unsealImported({ parent, blob: changed }), `duplicate ${at}`).rejects.toMatchObject({
        code: 'tpm.response',
      })
    }
    const attributes = objectAttributes('userWithAuth', 'noDA')
    const relabelled = { ...blob, public: { ...blob.public, attributes } }
    await expect(get().unsealImported({ parent, blob: relabelled })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_INTEGRITY'),
    )
  })

  test('a signing key made outside signs inside', async () => {
    const { generateKeyPairSync, verify } = await import('node:crypto')
    const { publicAreaFor } = await import('../crypto/keys.ts')
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const area = {
      ...publicAreaFor(pair.publicKey, TEMPLATES.akEccP256),
      attributes: objectAttributes('userWithAuth', 'sign'),
    }
    const scalar = new Uint8Array(Buffer.from(pair.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
    await using parent = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const none = new Uint8Array()
    const sensitive = { type: 'ecc', authValue: none, seedValue: none, sensitive: scalar } as const
    const blob = createImportBlob({ parent: parent.public, public: area, sensitive })
    const imported = await get().import({ parent, ...blob })
    await using key = await get().load({ parent, public: area, private: imported })
    const signature = await get().sign({ key, digest: digest('sha256', data) })
    if (signature.scheme !== 'ecdsa') throw new Error(signature.scheme)
    const raw = Buffer.concat([signature.r, signature.s])
    expect(verify('sha256', data, { key: pair.publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true)
  })
})

describe('what cannot be imported is refused', () => {
  const parent = parseTpmPublic(recorded('TPMT_PUBLIC', 'made srk'))
  const refused = (code: string) => expect.objectContaining({ code })
  const none = new Uint8Array()
  const sensitive = { type: 'keyedhash', authValue: none, seedValue: none, sensitive: Uint8Array.of(1) } as const

  test('data too long to seal', () => {
    expect(() => sealToKey({ parent, data: new Uint8Array(129) })).toThrow(refused('input.too-large'))
    expect(() => sealToKey({ parent, data: none })).toThrow(refused('input.too-large'))
  })
  test('a policy that is no SHA-256 digest', () => {
    const authPolicy = new Uint8Array(20)
    expect(() => sealToKey({ parent, data: Uint8Array.of(1), authPolicy })).toThrow(refused('input.malformed'))
  })
  test('an object fixed to its TPM', () => {
    const area = parseTpmPublic(recorded('TPMT_PUBLIC', 'made sealed'))
    expect(() => createImportBlob({ parent, public: area, sensitive })).toThrow(refused('input.malformed'))
  })
  test('a sensitive area of another type', () => {
    const area = { ...TEMPLATES.akEccP256, attributes: objectAttributes('sign') }
    expect(() => createImportBlob({ parent, public: area, sensitive })).toThrow(refused('input.malformed'))
  })
  test('a parent that is an attestation key', () => {
    const ak = parseTpmPublic(recorded('TPMT_PUBLIC', 'made ak'))
    expect(() => sealToKey({ parent: ak, data: Uint8Array.of(1) })).toThrow(refused('input.malformed'))
  })
})
