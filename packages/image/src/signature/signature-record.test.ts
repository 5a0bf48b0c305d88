import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { BUNDLE_TYPE } from './bundle-type.ts'
import { digestOf } from '../oci/digest.ts'
import { signBundle, signStatement } from '../sign/sign-bundle.ts'
import { cosignPayload, signCosign } from '../sign/sign-payload.ts'
import { PREDICATES, writeStatement } from '../statement/statement.ts'
import { newKey } from '../testing/signing.ts'
import { signatureOf, verifySignatureRecord, writeSignatureRecord } from './signature-record.ts'
import { ANNOTATION } from './stored-signature.ts'

const image = digestOf(new TextEncoder().encode('image'))
const other = digestOf(new TextEncoder().encode('other'))
const dockerReference = 'registry.example/app'
const ann = newKey()
const cosign = signCosign(cosignPayload({ digest: image, dockerReference }), ann)
const bundled = (bytes: Uint8Array) => ({ kind: 'bundle', place: 'here', bundle: bytes }) as const
const bundle = bundled(signBundle(signStatement({ digest: image, dockerReference }), ann))

type Json = Readonly<Record<string, unknown>>
const edited = (bytes: Uint8Array, change: Json) =>
  new TextEncoder().encode(JSON.stringify({ ...(JSON.parse(Buffer.from(bytes).toString()) as Json), ...change }))
const refused = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

describe('CS-85 a signature that is checked by its record alone', () => {
  test.each([
    ['under a tag', cosign],
    ['in a bundle', bundle],
  ])('%s: who signed which image', async (_where, signature) => {
    const record = writeSignatureRecord(image, ann.public, signature)
    const signer = { image, key: { id: ann.public.id, algorithm: 'ECDSA_P256_SHA256' }, form: signature.kind }
    expect(await verifySignatureRecord(record)).toMatchObject(signer)
    expect(signatureOf(record).kind).toBe(signature.kind)
  })

  test.each([
    ['by another key, under a tag', () => writeSignatureRecord(image, newKey().public, cosign), 'signature.unverified'],
    ['by another key, in a bundle', () => writeSignatureRecord(image, newKey().public, bundle), 'signature.unverified'],
    ['of another image, under a tag', () => writeSignatureRecord(other, ann.public, cosign), 'signature.mismatch'],
    ['of another image, in a bundle', () => writeSignatureRecord(other, ann.public, bundle), 'signature.mismatch'],
  ])('one %s is refused', async (_what, record, code) => {
    await expect(verifySignatureRecord(record())).rejects.toThrow(refused(code))
  })

  test('a statement about the image that is no signature of it is refused', async () => {
    const sbom = writeStatement({ subjects: [{ digest: image }], predicateType: PREDICATES.spdx, predicate: {} })
    const record = writeSignatureRecord(image, ann.public, bundled(signBundle(sbom, ann)))
    await expect(verifySignatureRecord(record)).rejects.toThrow(refused('signature.mismatch', 'no signature of'))
  })

  test('a bundle over bytes names no image, not even over none', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const empty = new Uint8Array()
    const over = {
      mediaType: BUNDLE_TYPE,
      verificationMaterial: { publicKey: { hint: 'hint' } },
      messageSignature: {
        messageDigest: {
          algorithm: 'SHA2_256',
          digest: Buffer.from(digestOf(empty).slice(7), 'hex').toString('base64'),
        },
        signature: sign('sha256', empty, privateKey).toString('base64'),
      },
    }
    const key = { ...ann.public, key: publicKey }
    const record = writeSignatureRecord(image, key, bundled(new TextEncoder().encode(JSON.stringify(over))))
    await expect(verifySignatureRecord(record)).rejects.toThrow(refused('signature.mismatch', 'a statement is wanted'))
  })

  const record = writeSignatureRecord(image, ann.public, cosign)
  test.each<[string, () => Uint8Array, string, string]>([
    ['has a member of its own', () => edited(record, { more: 1 }), 'signature.malformed', 'more'],
    ['has no form that is known', () => edited(record, { form: 'simple' }), 'signature.malformed', 'form'],
    ['has another version', () => edited(record, { record: 'image-signature/v2' }), 'signature.malformed', 'record'],
    ['names no digest', () => edited(record, { image: 'sha256:00' }), 'signature.malformed', 'image'],
    [
      'holds a private key',
      () => edited(record, { key: '-----BEGIN PRIVATE KEY-----' }),
      'key.malformed',
      'private key',
    ],
    ['is over its limit', () => edited(record, { signature: 'A'.repeat(40_000) }), 'signature.malformed', '32768'],
    ['is no JSON', () => record.subarray(1), 'signature.malformed', 'signature record'],
    [
      'says the same twice',
      () => new TextEncoder().encode(Buffer.from(record).toString().replace('{', `{"image":"${other}",`)),
      'signature.malformed',
      'image',
    ],
  ])('a record that %s is refused', async (_what, changed, code, message) => {
    await expect(verifySignatureRecord(changed())).rejects.toThrow(refused(code, message))
  })

  test('whichever byte is changed, it is refused by an error of ours, or says the same of the same key', async () => {
    const { id, key } = await verifySignatureRecord(record)
    const changed = fc.asyncProperty(fc.nat(record.length - 1), fc.nat(255), async (at, byte) => {
      try {
        const signer = await verifySignatureRecord(record.with(at, byte))
        expect([signer.id, signer.key.id]).toEqual([id, key.id])
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError)
      }
    })
    await fc.assert(changed, { numRuns: 500 })
  })

  test('what the same key signs again, or is made from its signature, is the same; another’s is not', async () => {
    const idOf = async (signature: Parameters<typeof writeSignatureRecord>[2], key = ann) =>
      (await verifySignatureRecord(writeSignatureRecord(image, key.public, signature))).id
    const payload = cosignPayload({ digest: image, dockerReference })
    const again = signCosign(payload, ann)
    expect(again.annotations).not.toEqual(cosign.annotations)
    const mirrored = {
      ...cosign,
      annotations: new Map([[ANNOTATION.signature, mirror(cosign.annotations.get(ANNOTATION.signature) ?? '')]]),
    }
    const first = await idOf(cosign)
    expect([await idOf(again), await idOf(mirrored)]).toEqual([first, first])
    const ben = newKey()
    const worded = signCosign(cosignPayload({ digest: image, dockerReference, annotations: { by: 'ann' } }), ann)
    const others = [await idOf(signCosign(payload, ben), ben), await idOf(worded), await idOf(bundle)]
    expect(new Set([first, ...others]).size).toBe(4)
  })
})

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The other ECDSA signature over the same bytes: n − s for s. Anybody can make it. */
function mirror(signature: string): string {
  const der = Buffer.from(signature, 'base64')
  const r = der.subarray(4, 4 + (der[3] ?? 0))
  const s = BigInt(`0x${der.subarray(6 + r.length).toString('hex')}`)
  const turned = Buffer.from((ORDER - s).toString(16).padStart(64, '0'), 'hex')
  const number = (turned[0] ?? 0) > 127 ? Buffer.concat([Buffer.of(0), turned]) : trimmed(turned)
  const body = Buffer.concat([Buffer.of(2, r.length), r, Buffer.of(2, number.length), number])
  return Buffer.concat([Buffer.of(0x30, body.length), body]).toString('base64')
}

function trimmed(number: Buffer): Buffer {
  return number[0] === 0 && (number[1] ?? 0) < 128 ? trimmed(number.subarray(1)) : number
}
