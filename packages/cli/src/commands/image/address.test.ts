import { expect, test } from 'vitest'
import { UsageError } from '../../output.ts'
import { parseAddress } from './address.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  ['oci:build', { directory: 'build' }],
  ['oci:.', { directory: '.' }],
  ['oci:/a/b:v1', { directory: '/a/b', tag: 'v1' }],
  ['oci:build:registry.example/app:v1', { directory: 'build', tag: 'registry.example/app:v1' }],
  [`oci:build@${digest}`, { directory: 'build', digest }],
  [`oci:build:v1@${digest}`, { directory: 'build', tag: 'v1', digest }],
])('%s is a layout', (text, wanted) => {
  expect(parseAddress(text)).toEqual({ kind: 'layout', ...wanted })
})

test.each([
  ['/build:v1', 'oci:/build:v1'],
  ['./build', 'oci:./build'],
  ['oci:', 'oci:.'],
  ['oci::v1', 'oci:.'],
])('%s is refused, with what to write instead', (text, instead) => {
  const error = (() => {
    try {
      return parseAddress(text)
    } catch (caught) {
      return caught as UsageError
    }
  })()
  expect(error).toBeInstanceOf(UsageError)
  expect(JSON.stringify(error)).toContain(instead)
})

test.each(['oci:build@v1', `oci:build:v1@${digest}@${digest}`])('%s has no digest', (text) => {
  expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'digest.malformed' }))
})
