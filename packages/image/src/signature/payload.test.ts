import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { parsePayload, writePayload } from './payload.ts'
import { parsePublicKey } from './verification-key.ts'
import { newKey, pem } from '../testing/signing.ts'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const good = {
  critical: {
    type: 'cosign container image signature',
    image: { 'docker-manifest-digest': digest },
    identity: { 'docker-reference': 'r.example/a' },
  },
  optional: null as unknown,
}
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const critical = (more: object) => ({ ...good, critical: { ...good.critical, ...more } })
const text = JSON.stringify(good)

describe('H03 a payload is read to the letter', () => {
  test('what we write reads back, for both kinds', () => {
    for (const kind of ['cosign', 'simple'] as const) {
      const payload = { kind, manifestDigest: digest, dockerReference: 'r.example/a:1', optional: { owner: 'x' } }
      expect(parsePayload(writePayload(payload), kind)).toEqual(payload)
    }
    expect(parsePayload(bytes(good), 'cosign').optional).toEqual({})
  })

  test.each([
    ['a member beside critical and optional', { ...good, extra: 1 }, 'signature.malformed', 'unknown member "extra"'],
    ['no optional', { critical: good.critical }, 'signature.malformed', 'no member optional'],
    ['a fourth critical member', critical({ expires: 'soon' }), 'signature.malformed', 'unknown member "expires"'],
    ['no identity', critical({ identity: undefined }), 'signature.malformed', 'no member identity'],
    [
      'a second digest',
      critical({ image: { 'docker-manifest-digest': digest, digest } }),
      'signature.malformed',
      'unknown member "digest"',
    ],
    [
      'a digest twice',
      text.replace('{"docker-m', `{"docker-manifest-digest":"x","docker-m`),
      'signature.malformed',
      'docker',
    ],
    ['another type', critical({ type: 'atomic container signature' }), 'signature.mismatch', 'critical.type'],
    ['a type that is a number', critical({ type: 1 }), 'signature.malformed', 'not a string'],
    [
      'a digest of another form',
      critical({ image: { 'docker-manifest-digest': '../../x' } }),
      'digest.malformed',
      'digest',
    ],
    ['optional that is a list', { ...good, optional: [] }, 'signature.malformed', 'not an object'],
    ['no JSON', 'This is not JSON\n', 'signature.malformed', 'payload'],
  ])('%s is refused', (_what, value, code, message) => {
    expect(() => parsePayload(bytes(value), 'cosign')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    )
  })

  test('simple signing wants its optional members in their form', () => {
    const simple = critical({ type: 'atomic container signature' })
    const read = (optional: unknown) => () => parsePayload(bytes({ ...simple, optional }), 'simple')
    expect(read({ creator: 'x', timestamp: 1, more: [] })).not.toThrow()
    for (const optional of [null, { creator: 1 }, { timestamp: '1' }, { timestamp: 1.5 }])
      expect(read(optional)).toThrow(expect.objectContaining({ code: 'signature.malformed' }))
  })

  test('whichever byte is changed, it reads or is refused by an error of ours', () => {
    const raw = bytes(good)
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.nat(255), (at, value) => {
        try {
          parsePayload(raw.with(at, value), 'cosign')
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      }),
      { seed: 3, numRuns: 1000 },
    )
  })
})

describe('keys that signatures are checked with', () => {
  test('a key’s id is the digest of its SPKI, whatever white space is around it', () => {
    const key = newKey()
    expect(parsePublicKey(`\n${pem(key)}\n\n`).id).toBe(key.public.id)
  })

  test('CS-11 H03 a key has one id, however its point is written: two names for it would count twice', () => {
    const der = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' })
    const sign = (der.at(-1) ?? 0) & 1
    const head = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex')
    const compressed = Buffer.concat([head, Buffer.of(2 + sign), der.subarray(-64, -32)])
    const read = (bytes: Buffer) =>
      parsePublicKey(`-----BEGIN PUBLIC KEY-----\n${bytes.toString('base64')}\n-----END PUBLIC KEY-----`)
    expect(read(compressed)).toMatchObject({ id: read(der).id, spki: new Uint8Array(der) })
  })

  const withExponent = (e: number) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = { ...publicKey.export({ format: 'jwk' }), e: Buffer.of(e).toString('base64url') }
    return createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' }).toString()
  }
  const spki = (pair: { publicKey: { export(o: object): string | Buffer } }) =>
    pair.publicKey.export({ format: 'pem', type: 'spki' }).toString()
  test.each([
    ['two keys', () => pem(newKey()) + pem(newKey()), 'key.malformed'],
    ['text before the key', () => `x${pem(newKey())}`, 'key.malformed'],
    [
      'a private key',
      () => generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      'key.malformed',
    ],
    ['an RSA key of 1024 bits', () => spki(generateKeyPairSync('rsa', { modulusLength: 1024 })), 'key.unsupported'],
    ['an RSA key by which everything is signed', () => withExponent(1), 'key.unsupported'],
    ['an RSA key with an even exponent', () => withExponent(4), 'key.unsupported'],
    ['a curve of Bitcoin', () => spki(generateKeyPairSync('ec', { namedCurve: 'secp256k1' })), 'key.unsupported'],
    ['a key for agreement', () => spki(generateKeyPairSync('x25519')), 'key.unsupported'],
  ])('%s is refused', (_what, make, code) => {
    expect(() => parsePublicKey(make())).toThrow(expect.objectContaining({ code }))
  })
})
