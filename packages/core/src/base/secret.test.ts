import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Secret } from './secret.ts'

const secret = new Secret(new TextEncoder().encode('canary'))

test.each([
  ['a template', `${secret}`],
  ['JSON', JSON.stringify({ secret })],
  ['the inspector', inspect({ secret }, { depth: 9, showHidden: true })],
  ['an error message', new Error(String(secret)).message],
])('G11 a secret in %s prints as [secret]', (_where, text) => {
  expect(text).toContain('[secret]')
  expect(text).not.toContain('canary')
  expect(text).not.toContain('99, 97, 110') // c, a, n as bytes
})

test('a secret keeps its own copy, which wiping overwrites', () => {
  const source = Uint8Array.of(1, 2, 3)
  const own = new Secret(source)
  source.fill(9)
  expect(own.expose()).toEqual(Uint8Array.of(1, 2, 3))
  own.wipe()
  expect(own.expose()).toEqual(new Uint8Array(3))
})
