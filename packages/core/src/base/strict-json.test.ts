import fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8 } from './encoding.ts'
import { VouchsafeError } from './errors.ts'
import { parseStrictJson } from './strict-json.ts'

const limits = { maxBytes: 1 << 16 }
const refusal = (message: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(message) })

test('reads whatever JSON.stringify writes, to the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false, maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value)
      let unsafe = false
      JSON.parse(text, (_k, v: unknown) => {
        if (typeof v === 'number' && Number.isInteger(v) && !Number.isSafeInteger(v)) unsafe = true
        if (typeof v === 'string' && !v.isWellFormed()) unsafe = true
        return v
      })
      fc.pre(!unsafe && !/"[^"]*\\ud[89a-f]/i.test(text))
      expect(JSON.stringify(parseStrictJson(text, limits))).toBe(text)
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['E14 duplicate members', '{"a":1,"a":2}', 'duplicate member "a"'],
  ['duplicate members spelled with an escape', '{"a":1,"\\u0061":2}', 'duplicate member "a"'],
  ['an integer beyond 2^53', '9007199254740993', 'beyond 2^53'],
  ['a number that overflows', '1e999', 'out of range'],
  ['a lone surrogate', '"\\ud800"', 'lone surrogate'],
  ['a leading zero', '01', 'after the end'],
  ['a byte order mark', '\ufeff{}', 'wanted a value'],
  ['text after the end', '{} x', 'after the end'],
  ['a trailing comma', '[1,]', 'wanted a value'],
  ['a raw control character', '"\n"', 'control character'],
  ['a string without end', '"abc', 'without end'],
  ['NaN', 'NaN', 'wanted a value'],
  ['a comment', '/**/1', 'wanted a value'],
  ['nothing', '', 'wanted a value'],
  ['nesting past the limit', '['.repeat(40) + ']'.repeat(40), 'nested deeper'],
])('refuses %s', (_what, text, message) => {
  expect(() => parseStrictJson(text, limits)).toThrow(refusal(message))
})

test('K06 a member named __proto__ is only a member', () => {
  const value = parseStrictJson('{"__proto__":{"admin":true}}', limits) as Record<string, unknown>
  expect(Object.getPrototypeOf(value)).toBe(null)
  expect(value['admin']).toBe(undefined)
})

test('refuses bytes that are not UTF-8 and more bytes than allowed', () => {
  expect(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22), limits)).toThrow(refusal('not UTF-8'))
  expect(() => parseStrictJson('[1,2,3]', { maxBytes: 3 })).toThrow(
    expect.objectContaining({ code: 'input.too-large' }),
  )
})

test('fails only with its own error, whichever byte is changed', () => {
  const good = utf8('{"a":[1,2.5e3,true,null,"\\u00e9\\n"],"b":{"c":"d"}}')
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      try {
        parseStrictJson(good.with(at, byte), limits)
      } catch (e) {
        expect(e).toBeInstanceOf(VouchsafeError)
      }
    }),
  )
})
