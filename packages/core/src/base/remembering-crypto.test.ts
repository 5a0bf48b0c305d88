import { generateKeyPairSync, sign } from 'node:crypto'
import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { rememberingCrypto } from './remembering-crypto.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
const data = new TextEncoder().encode('data')
const signature = new Uint8Array(sign(null, data, privateKey))
const scheme = { kind: 'ed25519' } as const

test('the same key and the same signature over the same bytes are looked at once, and everything else each time', async () => {
  let verifications = 0
  const crypto = rememberingCrypto({
    ...nodeCrypto,
    verify: (...args) => {
      verifications++
      return nodeCrypto.verify(...args)
    },
  })
  const key = await crypto.importPublicKey(spki)
  expect(await crypto.importPublicKey(new Uint8Array(spki))).toBe(key)
  for (let i = 0; i < 3; i++) expect(await crypto.verify(key, scheme, data, signature)).toBe(true)
  expect(verifications).toBe(1)
  for (let i = 0; i < 2; i++) {
    expect(await crypto.verify(key, scheme, data.with(0, 1), signature)).toBe(false)
    expect(await crypto.verify(key, scheme, data, signature.with(0, signature[0]! ^ 1))).toBe(false)
    expect(await crypto.verify(key, { kind: 'ecdsa', hash: 'sha256', encoding: 'der' }, data, signature)).toBe(false)
  }
  expect(verifications).toBe(7)
  const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' })
  expect(await crypto.verify(await crypto.importPublicKey(new Uint8Array(other)), scheme, data, signature)).toBe(false)
})

test('a malformed key stays malformed', async () => {
  const crypto = rememberingCrypto(nodeCrypto)
  for (let i = 0; i < 2; i++)
    await expect(crypto.importPublicKey(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: 'input.malformed' })
})
