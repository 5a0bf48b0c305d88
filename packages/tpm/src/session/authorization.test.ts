import { expect, test } from 'vitest'
import { newNonce } from './authorization.ts'

test('no nonce is given twice, however many are drawn at once', () => {
  const nonces = Array.from({ length: 200 }, () => newNonce())
  expect(nonces.every((nonce) => nonce.length === 16)).toBe(true)
  expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString('hex'))).size).toBe(200)
})

test('a nonce that was given stays as it is when others are drawn', () => {
  const nonce = newNonce()
  const before = new Uint8Array(nonce)
  for (let n = 0; n < 100; n++) newNonce().fill(0)
  expect(nonce).toEqual(before)
})
