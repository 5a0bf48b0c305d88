import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { nodeCrypto } from './crypto.ts'

const spkiOf = (namedCurve: string) =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve }).publicKey.export({ type: 'spki', format: 'der' }))

test.each(['P-256', 'P-384', 'P-521'] as const)('tells that a key is on %s', (curve) => {
  expect(nodeCrypto.importPublicKey(spkiOf(curve)).algorithm).toEqual({ kind: 'ec', curve })
})

test('refuses a curve that is not listed, and a point that is not on its curve', () => {
  expect(() => nodeCrypto.importPublicKey(spkiOf('secp256k1'))).toThrow(
    expect.objectContaining({ code: 'evidence.algorithm' }),
  )
  const off = spkiOf('P-256')
  off[90]! ^= 1
  expect(() => nodeCrypto.importPublicKey(off)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})
