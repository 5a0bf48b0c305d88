import { type Explanation, type FailedExpression, type Policy, RegoError, formatValue } from '@vouchsafe/rego'
import type { Grant } from '../agreement/agreement.ts'
import type { OpenedSet } from '../agreement/reference/named-set.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { Claims } from '../claims/claims.ts'
import { type ConditionFinding, earliest, reason } from './decision.ts'
import type { Judgement } from './judge-grant.ts'
import { REGO_BOUNDS, compileRego } from './rego/compile-rego.ts'
import { REFERENCE_FUNCTION, ReferenceQueries, answering } from './rego/reference-function.ts'

const MAX_REASONS = 16

/**
 * The Rego condition of a grant: its rule must be `true`. The claims are `input`. The answer and its explanation come
 * from one evaluation; a built-in that fails ends it, because a rule that is silently undefined may be one that denies.
 */
export function judgeRego(grant: Grant, claims: Claims, at: Date, sets: readonly OpenedSet[]): Judgement {
  if (grant.rego === undefined) return { findings: [], refusals: [] }
  const { allow } = grant.rego
  const expected = `${allow} is true`
  const queries = new ReferenceQueries(sets)
  const refuse = (code: ErrorCode, actual: string): Judgement => ({
    findings: [
      { grant: grant.id, form: 'rego', rule: allow, held: false, expected, actual },
      ...queriesOf(grant.id, queries),
    ],
    refusals: [reason('policy', code, `grant ${grant.id}: ${expected}`, actual)],
  })
  let policy: Policy
  let answer: RegoAnswer
  try {
    policy = compileRego(grant.rego)
    answer = evaluateRego(policy, allow, claims, { at, queries })
  } catch (error) {
    if (!(error instanceof RegoError)) throw error
    return refuse(error.code.startsWith('bound_') ? 'policy.bound' : 'policy.error', error.message)
  }
  const { value, explanation } = answer
  const findings = [...findingsOf(grant.id, allow, value, explanation), ...queriesOf(grant.id, queries)]
  if (value === true) {
    if (queries.answers.size > 0 && saysYesToNothing(policy, allow, at, sets))
      return {
        ...refuse('policy.no-evidence', 'it is true of a guest that shows nothing, by reference values alone'),
        findings,
      }
    const until = earliest([...queries.answers.values()].flatMap((a) => a.until ?? []))
    return { findings, refusals: [], ...(until !== undefined && { until }) }
  }
  if (value !== undefined && value !== false)
    return { ...refuse('policy.error', `it is ${short(value)}, which is no boolean`), findings }
  const refusals = failuresOf(explanation)
    .slice(0, MAX_REASONS)
    .map((f) => reason('policy', 'policy.condition', `grant ${grant.id}: ${where(f)} ${f.text}`, readsOf(f)))
  return {
    findings,
    refusals: refusals.length > 0 ? refusals : refuse('policy.condition', describe(value)).refusals,
  }
}

export interface RegoAnswer {
  readonly value: unknown
  readonly explanation: Explanation
}

export interface RegoContext {
  /** What policies see as the time. */
  readonly at: Date
  /** Whom policies ask for reference values; keeps what they asked. */
  readonly queries: ReferenceQueries
  /** Evaluations that the search for what would change the answer may make. Left out: none. */
  readonly tries?: number
}

/** @throws {RegoError} */
export function evaluateRego(
  policy: Policy,
  query: string,
  input: unknown,
  { at, queries, tries = 0 }: RegoContext,
): RegoAnswer {
  const { value, explanation } = answering(queries, () =>
    policy.eval(query, input, {
      ...REGO_BOUNDS,
      strictBuiltinErrors: true,
      timeNs: BigInt(at.getTime()) * 1_000_000n,
      explain: { maxTries: tries, decide: (v) => v === true },
    }),
  )
  if (explanation === undefined) throw new TypeError('an evaluation that was to be explained was not')
  return { value, explanation }
}

/**
 * Whether the same answers of reference sets alone would have done. What they say is not known when a grant is filed, so
 * that they stand in for no evidence is found here; without them the check of the text has found it.
 */
function saysYesToNothing(policy: Policy, allow: string, at: Date, sets: readonly OpenedSet[]): boolean {
  try {
    return evaluateRego(policy, allow, {}, { at, queries: new ReferenceQueries(sets) }).value === true
  } catch (error) {
    if (error instanceof RegoError) return false // no answer is no release
    throw error
  }
}

/** A finding for each reference value that was asked for: what it is, and on whose word. */
function queriesOf(grant: string, { answers }: ReferenceQueries): readonly ConditionFinding[] {
  return Array.from(answers, ([name, { value, source }]) => ({
    grant,
    form: 'rego',
    rule: `${REFERENCE_FUNCTION}(${JSON.stringify(name)})`,
    held: value !== null,
    expected: 'a value that holds, in a set that the agreement names',
    actual: value === null ? source : `${shortText(JSON.stringify(value))} in ${source}`,
  }))
}

/** A finding for each rule that was tried; the one that decides comes first. */
function findingsOf(grant: string, allow: string, value: unknown, explanation: Explanation): ConditionFinding[] {
  const decides: ConditionFinding = {
    grant,
    form: 'rego',
    rule: allow,
    held: value === true,
    expected: `${allow} is true`,
    actual: describe(value),
  }
  const others = explanation.rules
    .filter((r) => r.path !== allow && r.kind === 'rule')
    .map((r): ConditionFinding => ({
      grant,
      form: 'rego',
      rule: r.path,
      held: r.value !== undefined && r.value !== false,
      expected: `${r.path} holds`,
      actual: describe(r.value),
    }))
  return [decides, ...others]
}

/** Where rules without a value ended: the expressions that an owner has to look at. */
function failuresOf(explanation: Explanation): readonly FailedExpression[] {
  return explanation.rules
    .filter((r) => r.value === undefined || r.value === false)
    .flatMap((r) => r.bodies.flatMap((b) => (b.failed === undefined || b.held > 0 ? [] : [b.failed])))
}

function where({ location }: FailedExpression): string {
  return `${location.file}:${location.row}`
}

function readsOf(failed: FailedExpression): string {
  const reads = failed.reads.map((r) => `${r.text} is ${r.value === undefined ? 'undefined' : short(r.value)}`)
  return reads.length > 0 ? reads.join('; ') : 'it does not hold'
}

function describe(value: unknown): string {
  return value === undefined ? 'it is undefined' : `it is ${short(value)}`
}

function short(value: unknown): string {
  return shortText(formatValue(value as Parameters<typeof formatValue>[0]))
}

function shortText(text: string): string {
  return text.length > 160 ? `${text.slice(0, 157)}...` : text
}
