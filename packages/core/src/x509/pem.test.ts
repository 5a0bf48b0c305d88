import fc from 'fast-check'
import { expect, test } from 'vitest'
import { VouchsafeError } from '../base/errors.ts'
import { parsePem } from './index.ts'

const block = (content: string, label = 'CERTIFICATE') => `-----BEGIN ${label}-----${content}-----END ${label}-----`
const read = (content: string) => parsePem(block(content), 'CERTIFICATE')[0]
const refusal = (message: string) =>
  expect.objectContaining({ code: 'endorsement.malformed', message: expect.stringContaining(message) })

test('K03 reads what another encoder writes, in lines of any length and any white space', () => {
  const anyBytes = fc.uint8Array({ maxLength: 300 })
  const anySpace = fc.constantFrom('\n', '\r\n', ' ', '\t', '\n\n')
  fc.assert(
    fc.property(anyBytes, fc.integer({ min: 1, max: 80 }), anySpace, (bytes, width, space) => {
      const text = Buffer.from(bytes).toString('base64')
      const lines = text.replace(new RegExp(`.{${width}}`, 'g'), `$&${space}`)
      expect(read(`${space}${lines}${space}`)).toEqual(bytes)
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('K03 E21 of all that spells some bytes, the one canonical spelling alone is read', () => {
  const character = fc.constantFrom(...'ABCQZagw0189+/====-_!\u00e9\n')
  fc.assert(
    fc.property(fc.array(character, { maxLength: 13 }), (characters) => {
      const text = characters.join('')
      const digits = text.replaceAll('\n', '')
      const bytes = Buffer.from(digits, 'base64')
      const isCanonical = bytes.toString('base64') === digits
      if (isCanonical) expect(read(text)).toEqual(new Uint8Array(bytes))
      else expect(() => read(text)).toThrow(VouchsafeError)
    }),
    { seed: 1, numRuns: 3000 },
  )
})

test.each([
  ['digits after padding', 'AA==AAAA', 'not base64'],
  ['padding where none is due', 'AAAA====', 'not base64'],
  ['one digit over', 'AAAAA', 'not base64'],
  ['padding left out', 'AAA', 'not base64'],
  ['spare bits that are set', 'AAB=', 'canonical'],
  ['a dash', 'AA-A', 'does not end'],
])('K03 refuses base64 with %s', (_what, content, message) => {
  expect(() => read(content)).toThrow(refusal(message))
})

test.each([
  ['a block that ends as another', '-----BEGIN CERTIFICATE-----\nMAA=\n-----END X509 CRL-----', 'does not end'],
  ['a block that never ends', '-----BEGIN CERTIFICATE-----\nMAA=\n', 'does not end'],
  ['text between blocks', `${block('MAA=')}x${block('MAA=')}`, 'text before block 2'],
  ['a label that goes on', block('MAA=', 'CERTIFICATE REQUEST'), 'block of CERTIFICATE REQUEST'],
  ['33 blocks', block('MAA=').repeat(33), 'over 32'],
])('K03 refuses PEM with %s', (_what, text, message) => {
  expect(() => parsePem(text, 'CERTIFICATE')).toThrow(refusal(message))
})
