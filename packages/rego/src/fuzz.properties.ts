import fc from 'fast-check'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { expect } from 'vitest'
import { data, document, mutated, program, tokenSoup } from './fuzz.fixture.ts'
import { compile, parseModule, RegoError, toJson, type BackendChoice } from './index.ts'

type Runs = fc.Parameters<unknown>

function seeds(): string[] {
  if (missingVectors())
    return ['package t\n\np := {x: y | some x, y in input.l; not x == 1} if every z in [1] { z > 0 }\n']
  return readVectorText('opa-conformance/cases-v1.jsonl')
    .split('\n')
    .filter(Boolean)
    .flatMap((line) => (JSON.parse(line) as { modules?: string[] }).modules ?? [])
    .filter((text) => text.length < 1500)
}

/** Every text is a module or a `RegoError`. */
export function fuzzParser(runs: Runs): void {
  const texts = seeds()
  fc.assert(
    fc.property(fc.oneof(tokenSoup, mutated(texts), mutated(texts)), fc.constantFrom('v0', 'v1'), (text, version) => {
      try {
        parseModule('fuzz.rego', text, { version, logicalOperators: true })
      } catch (e) {
        expect(e).toBeInstanceOf(RegoError)
      }
    }),
    runs as fc.Parameters<[string, 'v0' | 'v1']>,
  )
}

/** Every program compiles or not, and evaluates to the same with both back ends. */
export function fuzzEvaluator(runs: Runs): void {
  let evaluated = 0
  const outcome = (text: string, backend: BackendChoice, input: unknown, base: unknown): string => {
    try {
      const policy = compile({ 'fuzz.rego': text }, { backend, data: base })
      evaluated++
      return ['data.t.p', 'data.t.q', 'data.t']
        .map((q) => toJson(policy.eval(q, input, { maxSteps: 200_000 }).value ?? null))
        .join('\n')
    } catch (e) {
      if (e instanceof RegoError) return `${e.code}: ${e.message}`
      throw e
    }
  }
  fc.assert(
    fc.property(program, document, data, (text, input, base) => {
      const one = outcome(text, 'generated', input, base)
      const other = outcome(text, 'closures', input, base)
      expect([text, input, base, other]).toEqual([text, input, base, one])
    }),
    runs as fc.Parameters<[string, object, object]>,
  )
  // programs that do not compile say nothing about evaluation
  expect(evaluated).toBeGreaterThan((runs.numRuns ?? 100) / 4)
}
