import fc from 'fast-check'
import { RE2JS } from 're2js'
import { describe, expect, test } from 'vitest'
import { literalPrefix, simplePattern } from './simple-pattern.ts'

const accepted = [
  '^[0-9a-f]{64}$',
  '^sha256:[0-9a-f]{4}$',
  '^[a-z][a-z0-9-]*$',
  '^https://[a-z.]+/',
  '^a?b*c+$',
  '^\\d{1,3}\\.\\d{1,3}$',
  '^[^/]+/x$',
  'needle',
  '^$',
  '^a{2,}$',
  '^[\\w.-]+=',
  '^[]a]$',
  '^a.*$',
  '^[a-z0-9]{16}-(hosts|hostname|resolv\\.conf)$',
  '^serviceaccount(/.*)?$',
  '^(a|b)$',
  '^a(b|)',
  '^(a|b)c$',
  '^(?:a|b)$',
  '^a(b)c(d)$',
  '^console=tty(S[0-9]+)?(,[0-9]+n8)?$',
  '^io\\.kata\\.(pkg|config)\\..+$',
  '.*',
  'a*b?',
]
const refused = [
  'a.*b',
  'x(a|b)',
  '(a|b)$',
  '^a+(ab|b)$',
  '^a+(b|c)?a$',
  '^(a|b)(a|b)(a|b)(a|b)(a|b)$',
  '^(?i:a|b)$',
  '^(?:a)*$',
  '.*a*$',
  'x?(a|b)',
  '^(a|b)*$',
  '^(a|b',
  '^(a$|b)',
  '(',
  'a(',
  '^a(',
  '^a(b',
  '^a(b|',
  '^a(b|c',
  '^a(b(c))$',
  '^a)$',
  '^a|b$',
  '^(a)?+$',
  '^a+ab$',
  '^.*a$',
  '(?i)^a$',
  '^a+?$',
  '^[[:alpha:]]$',
  '^é$',
  '[ab]',
  '^a{1001}$',
  '^\\pL$',
  'a$',
  '^\\b',
]

describe('simple patterns', () => {
  test.each(accepted)('takes %s', (pattern) => {
    expect(simplePattern(pattern)).toBeDefined()
  })

  test.each(refused)('leaves %s to the engine', (pattern) => {
    expect(simplePattern(pattern)).toBeUndefined()
  })

  const piece = fc.constantFrom(
    'a',
    'b',
    '-',
    '[ab]',
    '[^a]',
    '[a-c0-9]',
    '\\d',
    '\\w',
    '\\.',
    '[^/\\s]',
    'é',
    '.',
    '$',
    '(a)',
  )
  const repeat = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{2,}', '+?')
  const patterns = fc
    .tuple(fc.constantFrom('^', '^', ''), fc.array(fc.tuple(piece, repeat), { maxLength: 5 }), fc.constantFrom('$', ''))
    .map(([start, parts, end]) => start + parts.map(([p, r]) => p + r).join('') + end)
  const open = fc.array(
    fc.array(fc.tuple(piece, repeat), { maxLength: 3 }).map((parts) => parts.map(([p, r]) => p + r).join('')),
    { minLength: 1, maxLength: 3 },
  )
  const group = fc
    .tuple(fc.constantFrom('(', '(?:'), open, fc.constantFrom('', '?'), fc.array(piece, { maxLength: 2 }))
    .map(([begin, ways, maybe, then]) => `${begin}${ways.join('|')})${maybe}${then.join('')}`)
  const branching = fc
    .tuple(fc.array(piece, { maxLength: 2 }), fc.array(group, { minLength: 1, maxLength: 2 }), fc.constantFrom('$', ''))
    .map(([parts, groups, end]) => `^${parts.join('')}${groups.join('')}${end}`)
  const texts = fc.string({
    unit: fc.constantFrom('a', 'b', 'c', '-', '.', '/', '5', ' ', 'é', '😀', '\n'),
    maxLength: 12,
  })

  test('agree with RE2 wherever they decide', () => {
    let decided = 0
    fc.assert(
      fc.property(
        fc.oneof(patterns, branching),
        fc.array(texts, { minLength: 1, maxLength: 8 }),
        (pattern, samples) => {
          const simple = simplePattern(pattern)
          if (simple === undefined) return
          decided++
          const re2 = RE2JS.compile(pattern)
          for (const text of samples)
            expect([pattern, text, simple(text)]).toEqual([pattern, text, re2.matcher(text).find()])
        },
      ),
      { numRuns: 6000, seed: 7 },
    )
    expect(decided).toBeGreaterThan(1000)
  })

  test('take nothing that RE2 refuses, however it is misspelt', () => {
    const anything = fc.string({ unit: fc.constantFrom(...'^ab-.$()|[]?*+{}2,\\dw'), maxLength: 9 })
    let taken = 0
    fc.assert(
      fc.property(anything, fc.array(texts, { minLength: 1, maxLength: 4 }), (pattern, samples) => {
        const simple = simplePattern(pattern)
        if (simple === undefined) return
        taken++
        const re2 = RE2JS.compile(pattern)
        for (const text of samples)
          expect([pattern, text, simple(text)]).toEqual([pattern, text, re2.matcher(text).find()])
      }),
      { numRuns: 6000, seed: 7 },
    )
    expect(taken).toBeGreaterThan(100)
  })

  test('know what every match begins with, also where the engine decides', () => {
    expect(literalPrefix('^console=tty(S[0-9]+)?$')).toBe('console=tty')
    fc.assert(
      fc.property(patterns, fc.array(texts, { minLength: 1, maxLength: 8 }), (pattern, samples) => {
        const re2 = RE2JS.compile(pattern)
        const begin = literalPrefix(pattern)
        for (const text of samples) {
          if (re2.matcher(text).find()) expect([pattern, text.slice(0, begin.length)]).toEqual([pattern, begin])
        }
      }),
      { numRuns: 1000, seed: 7 },
    )
  })

  test('K09 stay linear in texts that make backtracking engines explode', () => {
    const simple = simplePattern('^[a-z]+[0-9]+x$')
    const started = performance.now()
    expect(simple?.('a'.repeat(200_000) + '1'.repeat(200_000))).toBe(false)
    expect(performance.now() - started).toBeLessThan(500)
  })
})
