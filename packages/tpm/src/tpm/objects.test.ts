import { constants, createECDH, createHmac, publicEncrypt, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { objectAttributes } from '../codec/public-area.ts'
import type { ObjectAttribute, TpmPublic } from '../codec/public-area.ts'
import { TEMPLATES } from '../codec/templates.ts'
import { digest } from '../crypto/digest.ts'
import { toKeyObject } from '../crypto/keys.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import type { TpmObject } from './entity.ts'
import { policyDigest } from './policy.ts'
import type { Policy } from './policy.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()
const FIXED: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth']
const storageKey = () => get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
const NULL_CIPHER = { algorithm: 'null' } as const
const NULL_SCHEME = { scheme: 'null' } as const

async function child(template: TpmPublic, use: (key: TpmObject) => Promise<void>) {
  await using parent = await storageKey()
  const made = await get().create({ parent, template })
  await using key = await get().load({ parent, ...made })
  await use(key)
}

describe('keys are used', () => {
  test('to sign, as node:crypto verifies', async () => {
    const attributes = objectAttributes(...FIXED, 'sign')
    await child({ ...TEMPLATES.akEccP256, attributes }, async (key) => {
      const message = text('message')
      const signature = await get().sign({ key, digest: digest('sha256', message) })
      if (signature.scheme !== 'ecdsa') throw new Error(signature.scheme)
      const raw = Buffer.concat([signature.r, signature.s])
      const options = { key: toKeyObject(key.public), dsaEncoding: 'ieee-p1363' } as const
      expect(verify('sha256', message, options, raw)).toBe(true)
      expect((await get().verifySignature({ key, digest: digest('sha256', message), signature })).tag).toBe('verified')
      const forged = get().verifySignature({ key, digest: digest('sha256', text('other')), signature })
      await expect(forged).rejects.toMatchObject(tpmRefuses('TPM_RC_SIGNATURE'))
    })
  })

  test('B02 restricted, to sign only what the TPM hashed and what is no statement of its own', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akRsa2048 })
    await expect(get().sign({ key, digest: digest('sha256', text('x')) })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_TICKET'),
    )
    const data = text('what the TPM hashes itself')
    const hashed = await get().hash(data, { hash: 'sha256', hierarchy: 'endorsement' })
    expect(hashed.digest).toEqual(digest('sha256', data))
    const signature = await get().sign({ key, ...hashed })
    if (signature.scheme !== 'rsassa') throw new Error(signature.scheme)
    expect(verify('sha256', data, toKeyObject(key.public), signature.signature)).toBe(true)
    const forged = Uint8Array.of(0xff, 0x54, 0x43, 0x47, 0x80, 0x18)
    const withoutTicket = await get().hash(forged, { hash: 'sha256', hierarchy: 'endorsement' })
    await expect(get().sign({ key, ...withoutTicket })).rejects.toMatchObject(tpmRefuses('TPM_RC_TICKET'))
  })

  test('to decrypt', async () => {
    const attributes = objectAttributes(...FIXED, 'decrypt')
    const template = { ...TEMPLATES.ekRsa2048, attributes, authPolicy: new Uint8Array(), symmetric: NULL_CIPHER }
    await child(template, async (key) => {
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      const cipherText = new Uint8Array(
        publicEncrypt({ key: toKeyObject(key.public), padding, oaepHash: 'sha256' }, text('secret')),
      )
      const scheme = { scheme: 'oaep', hash: 'sha256' } as const
      expect(await get().rsaDecrypt({ key, cipherText, scheme })).toEqual(text('secret'))
      const wrong = cipherText.with(9, (cipherText[9] ?? 0) ^ 1)
      await expect(get().rsaDecrypt({ key, cipherText: wrong, scheme })).rejects.toMatchObject({ code: 'tpm.response' })
    })
  })

  test('to agree on a secret', async () => {
    const attributes = objectAttributes(...FIXED, 'decrypt')
    const template = { ...TEMPLATES.ekEccP256, attributes, authPolicy: new Uint8Array(), symmetric: NULL_CIPHER }
    await child(template, async (key) => {
      const ours = createECDH('prime256v1')
      ours.generateKeys()
      const point = ours.getPublicKey()
      const theirs = key.public.type === 'ecc' ? Buffer.concat([Buffer.of(4), key.public.x, key.public.y]) : Buffer.of()
      const shared = await get().ecdhZGen({ key, point: { x: point.subarray(1, 33), y: point.subarray(33) } })
      expect(shared.x).toEqual(new Uint8Array(ours.computeSecret(theirs)))
    })
  })

  test('to make HMACs of any length', async () => {
    const template: TpmPublic = {
      type: 'keyedhash',
      nameAlg: 'sha256',
      attributes: objectAttributes('fixedTPM', 'fixedParent', 'userWithAuth', 'sign'),
      authPolicy: new Uint8Array(),
      scheme: { scheme: 'hmac', hash: 'sha256' },
      unique: new Uint8Array(),
    }
    await using parent = await storageKey()
    const made = await get().create({ parent, template, data: text('key') })
    await using key = await get().load({ parent, ...made })
    for (const length of [0, 1024, 1025, 5000]) {
      const data = new Uint8Array(length).fill(7)
      const expected = createHmac('sha256', 'key').update(data).digest()
      expect(Buffer.from(await get().hmac(data, { key }))).toEqual(expected)
    }
  })
})

describe('hashes', () => {
  test.each([0, 1024, 1025, 4096, 5000])('of %d bytes are those of node:crypto', async (length) => {
    const data = Uint8Array.from({ length }, (_, at) => at % 255)
    expect((await get().hash(data, { hash: 'sha384' })).digest).toEqual(digest('sha384', data))
  })

  test('go on when their sequence had to leave its slot', async () => {
    const data = new Uint8Array(3000).fill(1)
    const keys: TpmObject[] = []
    const hashing = get().hash(data, { hash: 'sha256' })
    const making = [1, 2, 3, 4].map(async () => keys.push(await storageKey()))
    const [{ digest: hashed }] = await Promise.all([hashing, ...making])
    expect(hashed).toEqual(digest('sha256', data))
    for (const key of keys) await key.flush()
  })

  test('of long events extend every bank', async () => {
    const data = new Uint8Array(3000).fill(2)
    const digests = await get().pcrEvent(15, data)
    expect(digests).toContainEqual({ hash: 'sha256', digest: digest('sha256', data) })
    const expected = digest('sha256', new Uint8Array(32), digest('sha256', data))
    expect((await get().pcrRead('sha256', [15])).values.get(15)).toEqual(expected)
  })
})

describe('an object moves', () => {
  const policy: Policy = [{ kind: 'command-code', command: 'Duplicate' }]
  const movable: TpmPublic = {
    ...TEMPLATES.akEccP256,
    attributes: objectAttributes('sensitiveDataOrigin', 'userWithAuth', 'sign'),
    authPolicy: policyDigest(policy),
  }

  test.each([
    ['with the outer wrapper only', true, false],
    ['with both wrappers', true, true],
    ['with the inner wrapper only', false, true],
    ['in the clear', false, false],
  ])('to another parent %s', async (_what, outer, innerWrapper) => {
    await using from = await storageKey()
    await using to = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.srkRsa2048 })
    const made = await get().create({ parent: from, template: movable })
    await using object = await get().load({ parent: from, ...made })
    const newParent = outer ? to : undefined
    const moved = await get().duplicate({ object, newParent, policy, innerWrapper })
    expect(moved.innerKey.length).toBe(innerWrapper ? 16 : 0)
    const imported = await get().import({ parent: to, public: object.public, ...moved })
    await using arrived = await get().load({ parent: to, public: object.public, private: imported })
    expect(arrived.name).toEqual(object.name)
    expect(arrived.qualifiedName).not.toEqual(object.qualifiedName)
  })

  test('only by its policy', async () => {
    await using parent = await storageKey()
    const made = await get().create({ parent, template: movable })
    await using object = await get().load({ parent, ...made })
    const other: Policy = [{ kind: 'command-code', command: 'Certify' }]
    await expect(get().duplicate({ object, newParent: parent, policy: other })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_POLICY_FAIL'),
    )
  })

  test('in and out of the TPM as bytes', async () => {
    await using parent = await get().createPrimary({
      hierarchy: 'owner',
      template: TEMPLATES.srkEccP256,
      authValue: text('password'),
    })
    const saved = await get().saveContext(parent)
    await parent.flush()
    await using loaded = await get().loadContext(saved, { authValue: text('password') })
    expect(loaded.name).toEqual(parent.name)
    expect(loaded.qualifiedName).toEqual(parent.qualifiedName)
    const sealed = await get().seal({ parent: loaded, data: text('secret') })
    expect(await get().unseal({ parent: loaded, sealed })).toEqual(text('secret'))
    const broken = saved.with(saved.length - 1, (saved[saved.length - 1] ?? 0) ^ 1)
    await expect(get().loadContext(broken)).rejects.toMatchObject({ code: 'tpm.response' })
  })

  test('to a new password', async () => {
    await using parent = await storageKey()
    const sealed = await get().seal({ parent, data: text('secret'), authValue: text('old') })
    await using object = await get().load({ parent, ...sealed, authValue: text('old') })
    const changed = await get().changeAuth({ object, parent, newAuthValue: text('new') })
    const renewed = { private: changed, public: sealed.public }
    expect(await get().unseal({ parent, sealed: renewed, authValue: text('new') })).toEqual(text('secret'))
    await expect(get().unseal({ parent, sealed: renewed, authValue: text('old') })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_AUTH_FAIL'),
    )
    await get().run('DictionaryAttackLockReset', { lockHandle: 'lockout' })
  })
})

test('a public key loads by itself, and has the name computed here', async () => {
  const area: TpmPublic = {
    ...TEMPLATES.akEccP256,
    attributes: objectAttributes('userWithAuth', 'sign'),
    scheme: NULL_SCHEME,
    ...pointOfNewKey(),
  }
  await using key = await get().loadExternal({ public: area, hierarchy: 'owner' })
  const { name, qualifiedName } = await get().run('ReadPublic', { objectHandle: key })
  expect(name).toEqual(key.name)
  expect(qualifiedName).toEqual(key.qualifiedName)
})

function pointOfNewKey() {
  const ecdh = createECDH('prime256v1')
  const point = new Uint8Array(ecdh.generateKeys())
  return { x: point.slice(1, 33), y: point.slice(33) }
}
