import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readQuickly } from './quick-json.ts'
import { type Json, readSlowly } from './strict-json.ts'

const MAX_DEPTH = 4

/** A value with all that `toEqual` does not tell apart: prototypes, the order of members, the sign of zero. */
function told(value: Json): unknown {
  if (typeof value === 'number') return Object.is(value, -0) ? 'minus zero' : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return ['array', ...(value as readonly Json[]).map(told)]
  return ['object', Object.getPrototypeOf(value), ...Object.entries(value).map(([k, v]) => [k, told(v)])]
}

function slowly(text: string): unknown {
  try {
    return { read: told(readSlowly(text, MAX_DEPTH)) }
  } catch {
    return 'refused'
  }
}

describe('the quick reader answers only as the strict one would', () => {
  const space = fc.constantFrom('', '', '', ' ', '\n', '\t ', '\r')
  const spelled = String.raw`"a" "a" "b" "\u0061" "" ":" "\":" "a\":1,\"b" "\\" "__proto__" "toString" "1" "2" "\ud800"
    "\uDC00" "\ud83d\ude00" "\\ud800" "\/" "\x" "\u00" 'a' a "a`.split(/\s+/)
  const strings = fc.constantFrom(...spelled, '" :"', '"\n"', '"\u2028"', '"\ud800"', '"\ud83d\ude00"')
  const numbers = `0 -0 1 -1 1.5 1e3 1E-9 1e-999 01 .5 +1 NaN Infinity 1e999 -1e999 1e300 9007199254740991
    -9007199254740991 9007199254740992 9007199254740993 9007199254740993.0`.split(/\s+/)
  const scalars = fc.constantFrom(...numbers, 'true', 'false', 'null', 'undefined', '', '\ufeff1', '/**/1')
  const spaced = (...parts: readonly fc.Arbitrary<string>[]) =>
    fc.tuple(...parts.flatMap((part) => [space, part]), space).map((all) => all.join(''))
  const listed = (open: string, items: fc.Arbitrary<string>, close: string) =>
    fc.array(items, { maxLength: 4 }).map((all) => `${open}${all.join(',')}${close}`)
  const { document } = fc.letrec<{ document: string; value: string }>((tie) => ({
    document: spaced(tie('value')),
    value: fc.oneof(
      { maxDepth: 6 },
      scalars,
      strings,
      listed('{', spaced(strings, fc.constant(':'), tie('value')), '}'),
      listed('[', spaced(tie('value')), ']'),
    ),
  }))
  const same = (text: string) => {
    const value = readQuickly(text, MAX_DEPTH)
    if (value !== undefined) expect({ read: told(value) }).toEqual(slowly(text))
  }

  test('K12 to texts with all that the two could take differently', () => {
    fc.assert(fc.property(document, same), { numRuns: 3000 })
  })

  test('to texts with characters changed, dropped and put in', () => {
    const character = fc.constantFrom(...' \n":,{}[]\\u0d19e.-'.split(''), '\ud800', '\u0000')
    const change = fc.record({ at: fc.nat(), drop: fc.nat(2), put: character })
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.array(change, { maxLength: 3 }), (json, changes) => {
        const text = changes.reduce((t, { at, drop, put }) => {
          const from = at % (t.length + 1)
          return t.slice(0, from) + put + t.slice(from + drop)
        }, json)
        same(text)
      }),
      { numRuns: 1500 },
    )
  })
})

test.each([
  ['duplicate members', '{"a":1,"a":2}'],
  ['duplicate members spelled with an escape', '{"a":1,"\\u0061":2}'],
  ['duplicate members that a text with a colon in it makes up for', '{"a" :":","a" :2}'],
  ['duplicate members, one of them with space before its colon', '{"a":1,"a"\n:2}'],
  ['duplicate members inside of members that are dropped', '{"a":{"b":1},"a":{"b":1}}'],
  ['an integer beyond 2^53', '[9007199254740992]'],
  ['a number that overflows', '1e999'],
  ['a lone surrogate', '"\ud800"'],
  ['a high surrogate as an escape', '"\\ud800"'],
  ['a low surrogate as an escape', '"\\uDfff"'],
  ['nesting past the limit', '[[[[[]]]]]'],
])('is not certain of %s', (_what, text) => {
  expect(readQuickly(text, MAX_DEPTH)).toBe(undefined)
})

test('is certain of what JSON.stringify writes, on one line and on many', () => {
  const value = { a: [1, 2.5, -3, true, null, 'text: "quoted" \\ \n é 😀'], b: { ['__proto__']: { 7: 'x', c: {} } } }
  for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
    const read = readQuickly(text, MAX_DEPTH)
    expect(read).not.toBe(undefined)
    expect(told(read ?? null)).toEqual(told(readSlowly(text, MAX_DEPTH)))
  }
})
