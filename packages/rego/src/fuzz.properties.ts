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

const SEED = new Uint8Array(32).fill(5)
/** Far more than any evaluation within these steps takes, however busy the machine. */
const HANG_MS = 20_000

/** Whatever is left of a policy after changes: it compiles and ends within its bounds, or ends in a `RegoError`; alike with both. */
export function fuzzPolicies(runs: Runs): void {
  const texts = seeds()
  let evaluated = 0
  const outcome = (text: string, version: 'v0' | 'v1', backend: BackendChoice): string => {
    const started = performance.now()
    try {
      const policy = compile({ 'fuzz.rego': text }, { backend, version, host: {} })
      const bounds = { maxSteps: 300_000, maxMemory: 300_000, maxDepth: 200, timeNs: 5n, seed: SEED }
      const { value } = policy.eval('data', { a: [1, 2], x: 'aaaaaaaaaaaaaaaaaaaaaaaab' }, bounds)
      evaluated++
      return toJson(value ?? null)
    } catch (e) {
      expect(e).toBeInstanceOf(RegoError)
      // which bound comes first is a matter of the order in which a back end counts
      const { code, message } = e as RegoError
      return code.startsWith('bound_') ? 'bound' : `${code}: ${message}`
    } finally {
      expect(performance.now() - started).toBeLessThan(HANG_MS)
    }
  }
  fc.assert(
    fc.property(mutated(texts), fc.constantFrom('v0', 'v1'), (text, version) => {
      const one = outcome(text, version, 'generated')
      const other = outcome(text, version, 'closures')
      if (one !== 'bound' && other !== 'bound') expect([text, other]).toEqual([text, one])
    }),
    runs as fc.Parameters<[string, 'v0' | 'v1']>,
  )
  expect(evaluated).toBeGreaterThan(10)
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
