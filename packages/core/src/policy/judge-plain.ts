import type { Condition, Grant } from '../agreement/agreement.ts'
import { type Claims, isAtLeast } from '../claims/claims.ts'
import { type ConditionFinding, reason } from './decision.ts'
import type { Judgement } from './judge-grant.ts'

/** The plain conditions of a grant. Every one is looked at, so that all failures are told at once. */
export function judgePlain(grant: Grant, claims: Claims): Judgement {
  const findings = grant.when.map((condition): ConditionFinding => {
    const actual = condition.op === 'at-least-class' ? claims.class : readClaim(claims, condition.claim)
    return {
      grant: grant.id,
      form: 'plain',
      rule: describe(condition),
      held: holds(condition, actual),
      expected: describe(condition),
      actual: actual === undefined ? 'no such claim' : JSON.stringify(actual),
    }
  })
  const refusals = findings
    .filter((f) => !f.held)
    .map((f) => reason('policy', 'policy.condition', `grant ${grant.id}: ${f.expected}`, f.actual))
  return { findings, refusals }
}

function holds(condition: Condition, actual: unknown): boolean {
  switch (condition.op) {
    case 'equals': // types must agree: "10" is not 10 (F03), and a missing claim equals nothing (F01)
      return actual === condition.value
    case 'one-of':
      return typeof actual === 'string' && condition.values.includes(actual)
    case 'at-least-class':
      return isAtLeast(actual as Claims['class'], condition.value)
  }
}

function describe(condition: Condition): string {
  switch (condition.op) {
    case 'equals':
      return `${condition.claim} equals ${JSON.stringify(condition.value)}`
    case 'one-of':
      return `${condition.claim} is one of ${JSON.stringify(condition.values)}`
    case 'at-least-class':
      return `class is ${condition.value} or stronger`
  }
}

/** A claim by its dotted path, own members only; undefined when absent. */
function readClaim(claims: Claims, path: string): unknown {
  let at: unknown = claims
  for (const step of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return at
}
