import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { rememberingKeys } from './remembering-keys.ts'

function newSpki(): Uint8Array {
  return new Uint8Array(generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }))
}

test('the same bytes are read as a key once, other bytes are another key', async () => {
  let imports = 0
  const crypto = rememberingKeys({
    ...nodeCrypto,
    importPublicKey: (spki) => {
      imports++
      return nodeCrypto.importPublicKey(spki)
    },
  })
  const [one, other] = [newSpki(), newSpki()]
  const key = await crypto.importPublicKey(one)
  expect(await crypto.importPublicKey(new Uint8Array(one))).toBe(key)
  expect(imports).toBe(1)
  expect((await crypto.importPublicKey(other)).spki).toEqual(other)
  expect(imports).toBe(2)
})

test('a malformed key stays malformed', async () => {
  const crypto = rememberingKeys(nodeCrypto)
  for (let i = 0; i < 2; i++)
    await expect(crypto.importPublicKey(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: 'input.malformed' })
})
