import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeSignatures } from '@vouchsafe/rego/node'
import { adopt, toPlain, type Value } from '../../value/index.ts'
import { testContext } from '../testing/context.ts'
import { BUILTINS, BuiltinError } from '../index.ts'
import { webCryptoSignatures } from '../signatures/web-crypto.ts'

const NOW = 1_770_000_000

function call(name: string, ...args: unknown[]): unknown {
  const out = BUILTINS.get(name)!.call(testContext({ signatures: nodeSignatures }), ...args.map((a) => adopt(a)))
  return out === undefined ? undefined : toPlain(out)
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString().trimEnd()
const jwk = (key: KeyObject): Record<string, unknown> => ({ ...key.export({ format: 'jwk' }) })
const b64 = (v: unknown): string => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url')

function sign(header: Record<string, unknown>, claims: Record<string, unknown>, key: KeyObject): string {
  return String(call('io.jwt.encode_sign', header, claims, jwk(key)))
}

const token = sign({ alg: 'RS256', kid: 'k1' }, { iss: 'me', exp: NOW + 60 }, rsa.privateKey)
const good = { cert: pem(rsa.publicKey), iss: 'me' }

describe('io.jwt.decode_verify', () => {
  test('accepts a token that satisfies every constraint', () => {
    expect(call('io.jwt.decode_verify', token, good)).toEqual([
      true,
      { alg: 'RS256', kid: 'k1' },
      { iss: 'me', exp: NOW + 60 },
    ])
  })

  test.each<[string, string, Record<string, unknown>]>([
    ['another key', token, { ...good, cert: pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey) }],
    ['a key of another kind', token, { ...good, cert: pem(ec.publicKey) }],
    ['another algorithm than the wanted one', token, { ...good, alg: 'PS256' }],
    ['another issuer', token, { ...good, iss: 'you' }],
    ['an audience that the token lacks', token, { ...good, aud: 'us' }],
    ['a time past exp', token, { ...good, time: BigInt(NOW + 61) * 1_000_000_000n }],
    ['a time that is exactly exp', token, { ...good, time: BigInt(NOW + 60) * 1_000_000_000n }],
    ['a changed claim', token.replace(/\.[^.]+\./, `.${b64({ iss: 'me', exp: NOW + 9999 })}.`), good],
    ['an audience nobody asked for', sign({ alg: 'RS256' }, { iss: 'me', aud: 'us' }, rsa.privateKey), good],
    ['a time before nbf', sign({ alg: 'RS256' }, { iss: 'me', nbf: NOW + 1 }, rsa.privateKey), good],
    ['a header that must be understood', sign({ alg: 'RS256', crit: ['x'] }, { iss: 'me' }, rsa.privateKey), good],
    ['no signature at all', `${b64({ alg: 'none' })}.${b64({ iss: 'me' })}.`, good],
  ])('refuses %s', (_what, text, constraints) => {
    expect(call('io.jwt.decode_verify', text, constraints)).toEqual([false, {}, {}])
  })

  test('a public key is never taken for a shared secret', () => {
    const signed = `${b64({ alg: 'HS256' })}.${b64({ iss: 'me' })}`
    const forged = `${signed}.${createHmac('sha256', good.cert).update(signed).digest('base64url')}`
    expect(call('io.jwt.decode_verify', forged, good)).toEqual([false, {}, {}])
    // and a token made with a private key does not pass under a secret
    expect(call('io.jwt.decode_verify', token, { secret: good.cert, iss: 'me' })).toEqual([false, {}, {}])
  })

  test('of several keys only the one that is named counts, if one is', () => {
    const keys = (kid: string): string =>
      JSON.stringify({
        keys: [
          { ...jwk(ec.publicKey), kid },
          { ...jwk(rsa.publicKey), kid: 'k2' },
        ],
      })
    expect((call('io.jwt.decode_verify', token, { cert: keys('k1'), iss: 'me' }) as unknown[])[0]).toBe(false)
    expect((call('io.jwt.decode_verify', token, { cert: keys('k3'), iss: 'me' }) as unknown[])[0]).toBe(true)
  })

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no key', { iss: 'me' }, /no key constraint/],
    ['both kinds of keys', { ...good, secret: 's' }, /duplicate key constraints/],
    ['a constraint it does not know', { ...good, issuer: 'me' }, /unknown token validation constraint/],
    ['a constraint of the wrong type', { ...good, aud: ['us'] }, /must be a string/],
    ['text behind the certificate', { ...good, cert: `${good.cert}\nx` }, /extra data/],
  ])('fails for %s', (_what, constraints, message) => {
    expect(() => call('io.jwt.decode_verify', token, constraints)).toThrow(BuiltinError)
    expect(() => call('io.jwt.decode_verify', token, constraints)).toThrow(message)
  })

  test('stops at tokens inside tokens inside tokens', () => {
    let nested = token
    for (let i = 0; i < 12; i++) {
      const signed = `${b64({ alg: 'HS256', cty: 'JWT' })}.${b64(nested)}`
      nested = `${signed}.${createHmac('sha256', 's').update(signed).digest('base64url')}`
    }
    expect(() => call('io.jwt.decode_verify', nested, { secret: 's' })).toThrow(/nested too deeply/)
  })
})

describe('signatures', () => {
  const pairs = {
    RS256: rsa,
    RS384: rsa,
    RS512: rsa,
    PS256: rsa,
    PS384: rsa,
    PS512: rsa,
    ES256: ec,
    EdDSA: ed,
  } as const

  test.each(Object.entries(pairs))('%s: what one implementation signs the other accepts', async (alg, pair) => {
    const algorithm = alg as keyof typeof pairs
    const spki = new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }))
    const pkcs8 = new Uint8Array(pair.privateKey.export({ type: 'pkcs8', format: 'der' }))
    const message = new TextEncoder().encode('message')
    for (const [a, b] of [
      [nodeSignatures, webCryptoSignatures],
      [webCryptoSignatures, nodeSignatures],
    ] as const) {
      const signature = new Uint8Array(await a.sign(algorithm, pkcs8, message))
      expect(await b.verify(algorithm, spki, message, signature)).toBe(true)
      signature[5]! ^= 1
      expect(await b.verify(algorithm, spki, message, signature)).toBe(false)
    }
  })

  test('without a port of the host, WebCrypto answers later', async () => {
    let later: unknown
    try {
      BUILTINS.get('io.jwt.verify_rs256')!.call(testContext(), token, good.cert as Value)
    } catch (pending) {
      later = await (pending as Promise<boolean>)
    }
    expect(later).toBe(true)
  })

  test('keys survive the way from JWK to DER and back', () => {
    for (const [alg, pair] of Object.entries(pairs)) {
      const text = sign({ alg }, { a: 1 }, pair.privateKey)
      expect(call(`io.jwt.verify_${alg.toLowerCase()}`, text, JSON.stringify(jwk(pair.publicKey)))).toBe(true)
      expect(call(`io.jwt.verify_${alg.toLowerCase()}`, text, pem(pair.publicKey))).toBe(true)
    }
  })
})
