import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parseTpmPublic } from '../codec/public-area.ts'
import { TEMPLATES } from '../codec/templates.ts'
import { recorded } from '../testing/structures.ts'
import { makeCredential } from './make-credential.ts'

interface Vector {
  readonly ek: 'rsa' | 'ecc'
  readonly ekPublic: string
  readonly ekPrivatePkcs8Pem: string
  readonly akName: string
  readonly credential: string
  readonly seed: string
  readonly ephemeralPrivate?: string
  readonly expect: { readonly idObjectTpm2b: string; readonly encSecretTpm2b: string }
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const malformed = expect.objectContaining({ code: 'input.malformed' })

describe.skipIf(missingVectors())('makeCredential gives the recorded challenge', () => {
  const file = missingVectors() ? '{"makeCredential":[]}' : readVectorText('gce/tpm/derived/tpm-crypto.json')
  const { makeCredential: vectors } = JSON.parse(file) as { makeCredential: Vector[] }

  test.each(vectors)('for an $ek endorsement key', (vector) => {
    const challenge = makeCredential({
      endorsementKey: parseTpmPublic(bytes(vector.ekPublic)),
      objectName: bytes(vector.akName),
      credential: bytes(vector.credential),
      seed: bytes(vector.ephemeralPrivate ?? vector.seed),
    })
    expect(hex(challenge.credentialBlob)).toBe(vector.expect.idObjectTpm2b.slice(4))
    if (vector.ek === 'ecc') expect(hex(challenge.encryptedSecret)).toBe(vector.expect.encSecretTpm2b.slice(4))
    else expect(hex(decryptSeed(vector, challenge.encryptedSecret))).toBe(vector.seed)
  })
})

function decryptSeed(vector: Vector, encrypted: Uint8Array): Uint8Array {
  return privateDecrypt(
    {
      key: createPrivateKey(vector.ekPrivatePkcs8Pem),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: Buffer.from('IDENTITY\0'),
    },
    encrypted,
  )
}

const name = new Uint8Array(34)
const credential = new Uint8Array(32).fill(1)

test('a key that cannot decrypt gets no challenge', () => {
  const endorsementKey = parseTpmPublic(recorded('TPMT_PUBLIC', 'made ak'))
  expect(() => makeCredential({ endorsementKey, objectName: name, credential })).toThrow(malformed)
})

test('a point that is not on the curve gets no secret', () => {
  const endorsementKey = { ...TEMPLATES.ekEccP256, x: new Uint8Array(32).fill(1), y: new Uint8Array(32).fill(2) }
  expect(() => makeCredential({ endorsementKey, objectName: name, credential })).toThrow(malformed)
})

test.each([0, 136, 0xffff])('a key that says it uses AES with %i bits gets no secret', (keyBits) => {
  const endorsementKey = parseTpmPublic(recorded('TPMT_PUBLIC', 'made srk'))
  if (endorsementKey.type === 'keyedhash') throw new Error('not a storage key')
  const odd = { ...endorsementKey, symmetric: { ...endorsementKey.symmetric, keyBits } } as typeof endorsementKey
  expect(() => makeCredential({ endorsementKey: odd, objectName: name, credential })).toThrow(malformed)
})

test.each([
  ['an empty credential', { credential: new Uint8Array() }],
  ['a credential longer than the digest', { credential: new Uint8Array(33) }],
  ['an empty name', { objectName: new Uint8Array() }],
  ['a name that is too long', { objectName: new Uint8Array(67) }],
])('%s is refused', (_what, wrong) => {
  const endorsementKey = parseTpmPublic(recorded('TPMT_PUBLIC', 'made srk'))
  expect(() => makeCredential({ endorsementKey, objectName: name, credential, ...wrong })).toThrow(malformed)
})
