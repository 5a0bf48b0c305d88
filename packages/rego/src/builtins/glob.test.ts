import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Value } from '../value/index.ts'
import { GLOB } from './glob.ts'

const context = { spend: () => undefined, reserve: () => undefined, memo: new Map() }

function matches(pattern: string, delimiters: Value, s: string): Value | undefined {
  return GLOB.find(({ name }) => name === 'glob.match')?.call(context as never, pattern, delimiters, s)
}

const character = fc.constantFrom('a', 'b', '/', '.', 'é', '😀', '\n', '\udc80', ',')
const text = fc.string({ unit: character, maxLength: 4 })
const delimiters = fc.option(fc.array(fc.constantFrom('/', '.', '😀', '', '\udc80'), { maxLength: 3 }))

test('globs that need no engine match what the engine matches', () => {
  let matched = 0
  fc.assert(
    fc.property(text, fc.constantFrom('', '*', '**'), text, text, delimiters, (prefix, star, suffix, middle, by) => {
      const pattern = prefix + star + suffix
      for (const s of [prefix + middle + suffix, middle, prefix + suffix, `${prefix}${middle}`, `😀${suffix}`]) {
        // braces are left to the engine; in them, both ends of an unbounded star never overlap
        if (pattern.includes(',') || s.length < prefix.length + suffix.length) continue
        const found = matches(pattern, by, s)
        if (found === true) matched++
        expect([pattern, by, s, found]).toEqual([pattern, by, s, matches(`{${pattern}}`, by, s)])
      }
    }),
    { numRuns: 1500, seed: 3 },
  )
  expect(matched).toBeGreaterThan(600)
})

test('the ends of an unbounded star overlap, those of a star between delimiters do not', () => {
  expect(matches('a:**:c', [], 'a:c')).toBe(true)
  expect(matches('a:*:c', null, 'a:c')).toBe(true)
  expect(matches('a:*:c', [], 'a:c')).toBe(false)
  expect(matches('a:*:c', [':'], 'a::c')).toBe(true)
})
