import { base64, base64urlnopad } from '@scure/base'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromBase64, fromBase64Url, fromHex, toBase64, toBase64Url, toHex } from './encoding.ts'

const malformed = expect.objectContaining({ code: 'input.malformed' })

test('base64 and base64url give back what was encoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(fromBase64(toBase64(bytes))).toEqual(bytes)
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes)
    }),
    { seed: 21 },
  )
})

test('E21 reads exactly what another decoder reads and would write the same way', () => {
  const accepts = (decode: (text: string) => Uint8Array, encode: (bytes: Uint8Array) => string, text: string) => {
    try {
      return encode(decode(text)) === text
    } catch {
      return false
    }
  }
  const letters = fc.string({ unit: fc.constantFrom(...'AQgwEIMBb09+/-_= \n'), maxLength: 9 })
  fc.assert(
    fc.property(letters, (text) => {
      const read = (from: (text: string) => Uint8Array) => {
        try {
          return from(text)
        } catch (error) {
          expect(error).toEqual(malformed)
          return null
        }
      }
      expect(read(fromBase64) !== null).toBe(accepts(base64.decode, base64.encode, text))
      expect(read(fromBase64Url) !== null).toBe(accepts(base64urlnopad.decode, base64urlnopad.encode, text))
    }),
    { seed: 21, numRuns: 5_000 },
  )
})

test.each(['QQ', 'QQ=', 'QR==', 'QUF=', 'QQ==\n', ' QQ==', 'Q===', '====', 'QQ==QQ==', 'Q_=='])(
  'E21 refuses %j as base64',
  (text) => {
    expect(() => fromBase64(text)).toThrow(malformed)
  },
)

test.each(['QQ==', 'QR', 'QUF', 'Q', 'Q+', 'QQ\n'])('E21 refuses %j as base64url', (text) => {
  expect(() => fromBase64Url(text)).toThrow(malformed)
})

test('hexadecimal gives back what was encoded, in the digits that others write, and refuses other digits', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const text = toHex(bytes)
      expect(text).toBe(Buffer.from(bytes).toString('hex'))
      expect(fromHex(text)).toEqual(new Uint8Array(bytes))
      expect(() => fromHex(text, 'register', bytes.length + 1)).toThrow(`wanted ${bytes.length + 1}`)
    }),
  )
  for (const text of ['0', '0G', 'AB', 'g0', '0x', '0\n', '/:', '`g', ' 00'])
    expect(() => fromHex(text, 'register')).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})
