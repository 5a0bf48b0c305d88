import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { nodeCrypto } from './crypto.ts'

const rsaSpki = (modulusLength: number) =>
  new Uint8Array(generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ type: 'spki', format: 'der' }))

const spkiOf = (namedCurve: string) =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve }).publicKey.export({ type: 'spki', format: 'der' }))

test.each(['P-256', 'P-384', 'P-521'] as const)('tells that a key is on %s', (curve) => {
  expect(nodeCrypto.importPublicKey(spkiOf(curve)).algorithm).toEqual({ kind: 'ec', curve })
})

test.each([2048, 2304, 3072, 4096])('tells that a modulus has %d bits', (modulusBits) => {
  expect(nodeCrypto.importPublicKey(rsaSpki(modulusBits)).algorithm).toEqual({ kind: 'rsa', modulusBits })
})

test('a modulus of a bit less than its bytes have room for is not taken for one that fills them', () => {
  const short = rsaSpki(2048)
  short[33] = 0x40 // the first byte of the modulus, after the zero before it
  expect(() => nodeCrypto.importPublicKey(short)).toThrow(
    expect.objectContaining({ code: 'evidence.algorithm', message: expect.stringContaining('2047 bits') }),
  )
})

test('refuses an RSA key of 1024 bits', () => {
  expect(() => nodeCrypto.importPublicKey(rsaSpki(1024))).toThrow(
    expect.objectContaining({ code: 'evidence.algorithm' }),
  )
})

test('refuses a curve that is not listed, and a point that is not on its curve', () => {
  expect(() => nodeCrypto.importPublicKey(spkiOf('secp256k1'))).toThrow(
    expect.objectContaining({ code: 'evidence.algorithm' }),
  )
  const off = spkiOf('P-256')
  off[90]! ^= 1
  expect(() => nodeCrypto.importPublicKey(off)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})
