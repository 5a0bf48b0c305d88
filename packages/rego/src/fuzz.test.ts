import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fuzzEvaluator, fuzzParser, fuzzPolicies } from './fuzz.properties.ts'
import { compile, parseModule, RegoError } from './index.ts'

describe('F16 the parser', () => {
  test('ends in a module or in its own error, whatever the text', () => {
    fuzzParser({ numRuns: 400, seed: 3 })
  })

  const deep = 100_000
  test.each([
    ['brackets', `p := ${'['.repeat(deep)}`],
    ['closed brackets', `p := ${'['.repeat(deep)}${']'.repeat(deep)}`],
    ['braces', `p if ${'{'.repeat(deep)}`],
    ['comprehensions', `p := ${'{x | '.repeat(deep)}`],
    ['unions that could be comprehensions', `p := ${'{a | {'.repeat(500)}`],
    ['operators', `p := 1${' + 1'.repeat(deep)}`],
    ['comparisons', `p if 1${' == 1'.repeat(deep)}`],
    ['memberships', `p if 1${' in x'.repeat(deep)}`],
    ['calls', `p := ${'f('.repeat(deep)}`],
    ['references', `p := x${'[x'.repeat(deep)}`],
    ['else', `p if false ${'else if false '.repeat(deep)}`],
    ['templates', `p := ${'$"{'.repeat(deep)}`],
    ['negations', `p if ${'not '.repeat(deep)}x`],
    ['minus', `p := ${'-'.repeat(deep)}1`],
  ])('refuses %s without end before the stack does', (_what, text) => {
    const started = performance.now()
    expect(() => parseModule('deep.rego', `package t\n${text}\n`)).toThrow(RegoError)
    expect(performance.now() - started).toBeLessThan(3000)
  })

  test('reads long flat texts in a time that grows with their length', () => {
    const text = (n: number): string => `package t\nxs := [${'{"a": [1, 2], "b": x | 1}, '.repeat(n)}]\n`
    const time = (n: number): number => {
      const t = text(n)
      const started = performance.now()
      parseModule('long.rego', t)
      return performance.now() - started
    }
    time(500)
    const short = Math.min(...[1, 2, 3].map(() => time(500)))
    const long = Math.min(...[1, 2, 3].map(() => time(4000)))
    // eight times the text; a quadratic reader would take 64 times as long, and machines are noisy
    expect(long).toBeLessThan(Math.max(short, 5) * 40)
  })
})

describe('the evaluator', () => {
  test('gives the same with both back ends, or the same error', () => {
    fuzzEvaluator({ numRuns: 150, seed: 5 })
  })

  test('ends in a value or in a typed error, alike with both back ends, whatever was done to a policy', () => {
    fuzzPolicies({ numRuns: 300, seed: 6 })
  })

  test('F07 stops a walk through a product of collections at its bound', () => {
    const policy = compile({ 'p.rego': 'package t\np := [x | walk(input, [_, a]); walk(input, [_, b]); x := [a, b]]' })
    const input = fc.sample(fc.array(fc.array(fc.nat(), { maxLength: 30, minLength: 20 }), { minLength: 30 }), {
      numRuns: 1,
      seed: 1,
    })
    expect(() => policy.eval('data.t.p', input, { maxSteps: 100_000 })).toThrow(
      expect.objectContaining({ code: 'bound_steps' }),
    )
  })
})
