import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../node/index.ts'
import type { HashName, SignatureScheme } from '../src/base/crypto.ts'
import { webCrypto } from './index.ts'

const HASHES: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512']
const DATA = new Uint8Array(createHash('sha512').update('data').digest())

interface Pair {
  readonly spki: Uint8Array
  readonly privateKey: KeyObject
}
const pairOf = ({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Pair => ({
  spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
  privateKey,
})
const RSA = pairOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const CURVES = ['P-256', 'P-384', 'P-521'] as const
const EC = CURVES.map((namedCurve) => pairOf(generateKeyPairSync('ec', { namedCurve })))
const ED25519 = pairOf(generateKeyPairSync('ed25519'))

function signedWith({ privateKey }: Pair, scheme: SignatureScheme): Uint8Array {
  switch (scheme.kind) {
    case 'rsa-pkcs1':
      return new Uint8Array(sign(scheme.hash, DATA, privateKey))
    case 'rsa-pss':
      return new Uint8Array(
        sign(scheme.hash, DATA, { key: privateKey, padding: 6, saltLength: scheme.saltBytes ?? -1 }),
      )
    case 'ecdsa':
      return new Uint8Array(
        sign(scheme.hash, DATA, { key: privateKey, dsaEncoding: scheme.encoding === 'raw' ? 'ieee-p1363' : 'der' }),
      )
    case 'ed25519':
      return new Uint8Array(sign(null, DATA, privateKey))
  }
}

const CASES: readonly (readonly [Pair, SignatureScheme])[] = [
  ...HASHES.flatMap((hash) => [
    [RSA, { kind: 'rsa-pkcs1', hash }] as const,
    [RSA, { kind: 'rsa-pss', hash }] as const,
    [RSA, { kind: 'rsa-pss', hash, saltBytes: 0 }] as const,
    ...EC.flatMap((pair) => [
      [pair, { kind: 'ecdsa', hash, encoding: 'der' }] as const,
      [pair, { kind: 'ecdsa', hash, encoding: 'raw' }] as const,
    ]),
  ]),
  [ED25519, { kind: 'ed25519' }],
]

describe('both implementations of the port', () => {
  test('hash and authenticate alike, in any number of parts', () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 })
    fc.assert(
      fc.property(fc.constantFrom(...HASHES), fc.uint8Array({ maxLength: 200 }), parts, (hash, key, data) => {
        expect(webCrypto.digest(hash, ...data)).toEqual(nodeCrypto.digest(hash, ...data))
        expect(webCrypto.hmac(hash, key, ...data)).toEqual(nodeCrypto.hmac(hash, key, ...data))
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('import the same keys, and say the same of them', async () => {
    for (const { spki } of [RSA, ...EC, ED25519])
      expect(await webCrypto.importPublicKey(spki)).toEqual(nodeCrypto.importPublicKey(spki))
  })

  test('B12 verify what was signed under every scheme, and under no other', async () => {
    for (const [pair, scheme] of CASES) {
      const [web, node] = [await webCrypto.importPublicKey(pair.spki), nodeCrypto.importPublicKey(pair.spki)]
      const signature = signedWith(pair, scheme)
      for (const [, asked] of CASES) {
        const said = await webCrypto.verify(web, asked, DATA, signature)
        expect(said, JSON.stringify([scheme, asked])).toBe(nodeCrypto.verify(node, asked, DATA, signature))
      }
      expect(await webCrypto.verify(web, scheme, DATA, signature), JSON.stringify(scheme)).toBe(true)
      expect(await webCrypto.verify(web, scheme, DATA.subarray(1), signature)).toBe(false)
    }
  })

  test('B12 refuse the same signatures: each byte changed, cut short, one byte over, empty', async () => {
    for (const [pair, scheme] of CASES.filter(([, s]) => !('hash' in s) || s.hash === 'sha256')) {
      const [web, node] = [await webCrypto.importPublicKey(pair.spki), nodeCrypto.importPublicKey(pair.spki)]
      const signature = signedWith(pair, scheme)
      const wrong = [
        ...Array.from(signature, (byte, i) => signature.with(i, byte ^ 0x41)),
        signature.slice(0, -1),
        Uint8Array.of(...signature, 0),
        new Uint8Array(signature.length),
        new Uint8Array(),
      ]
      for (const bad of wrong) {
        expect(nodeCrypto.verify(node, scheme, DATA, bad)).toBe(false)
        expect(await webCrypto.verify(web, scheme, DATA, bad)).toBe(false)
      }
    }
  })

  test('verify raw signatures whose r or s begins with a zero byte, or with a bit that DER would take for a sign', () => {
    const [pair] = EC
    const node = nodeCrypto.importPublicKey(pair!.spki)
    const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' } as const
    const begins = (at: number, fits: (byte: number) => boolean) => {
      for (;;) {
        const signature = signedWith(pair!, scheme)
        if (fits(signature[at] ?? 0)) return signature
      }
    }
    for (const at of [0, 32])
      for (const fits of [(b: number) => b === 0, (b: number) => b > 127, (b: number) => b > 0 && b < 128])
        expect(nodeCrypto.verify(node, scheme, DATA, begins(at, fits))).toBe(true)
  })

  test('B12 refuse r or s of zero, of the order and beyond, and integers that are not minimal', async () => {
    const [pair] = EC
    const [web, node] = [await webCrypto.importPublicKey(pair!.spki), nodeCrypto.importPublicKey(pair!.spki)]
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
    const raw = signedWith(pair!, { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' })
    for (const value of [new Uint8Array(32), order, new Uint8Array(32).fill(0xff)])
      for (const at of [0, 32]) {
        const bad = Uint8Array.from(raw)
        bad.set(value, at)
        expect(await webCrypto.verify(web, { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' }, DATA, bad)).toBe(false)
        expect(nodeCrypto.verify(node, { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' }, DATA, bad)).toBe(false)
      }
    const padded = Uint8Array.of(
      0x30,
      0x48,
      0x02,
      0x22,
      0,
      0,
      ...raw.subarray(0, 32),
      0x02,
      0x22,
      0,
      0,
      ...raw.subarray(32),
    )
    expect(await webCrypto.verify(web, { kind: 'ecdsa', hash: 'sha256', encoding: 'der' }, DATA, padded)).toBe(false)
  })

  test.each<[string, Uint8Array, string]>([
    ['no bytes', new Uint8Array(), 'input.malformed'],
    ['an RSA key of 1024 bits', pairOf(generateKeyPairSync('rsa', { modulusLength: 1024 })).spki, 'evidence.algorithm'],
    ['another curve', pairOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' })).spki, 'evidence.algorithm'],
    ['another kind of key', pairOf(generateKeyPairSync('x25519')).spki, 'evidence.algorithm'],
    ['a point off its curve', EC[0]!.spki.with(90, EC[0]!.spki[90]! ^ 1), 'input.malformed'],
    ['a key that is cut short', EC[0]!.spki.slice(0, -1), 'input.malformed'],
    ['a byte after the key', Uint8Array.of(...EC[0]!.spki, 0), 'input.malformed'],
  ])('refuse %s with the same code', async (_what, spki, code) => {
    await expect(webCrypto.importPublicKey(spki)).rejects.toMatchObject({ code })
    try {
      nodeCrypto.importPublicKey(spki)
      expect(_what).toBe('a byte after the key') // OpenSSL looks no further
    } catch (error) {
      expect(error).toMatchObject({ code })
    }
  })
})
