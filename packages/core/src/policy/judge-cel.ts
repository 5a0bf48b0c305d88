import type { Grant } from '../agreement/agreement.ts'
import type { Claims } from '../claims/claims.ts'
import { type CelAnswer, compileCel, evaluateCel, toCelVariables } from './cel/cel-program.ts'
import { celReads } from './cel/cel-uses.ts'
import { type ConditionFinding, type Reason, reason } from './decision.ts'
import type { Judgement } from './judge-grant.ts'
import { readPath, shown } from './read-claim.ts'

/** The variable under which expressions find the claims, as cloud providers call it. */
export const CEL_CLAIMS = 'assertion'

/** The CEL expressions of a grant: each must be `true`. Each term of their conjunctions is asked once, and leaves a finding. */
export function judgeCel(grant: Grant, claims: Claims): Judgement {
  if (grant.cel === undefined) return { findings: [], refusals: [] }
  const programs = grant.cel.map((text) => compileCel(text, [CEL_CLAIMS]))
  const answers = evaluateCel(programs, toCelVariables({ [CEL_CLAIMS]: claims }))
  const refusals: Reason[] = []
  const findings = programs
    .flatMap((p) => p.terms)
    .map((term, i): ConditionFinding => {
      const answer = answers[i] ?? { kind: 'bound' }
      const held = answer.kind === 'value' && answer.value === true
      const actual = [
        describe(answer),
        ...celReads(term.expr).map(({ text, path }) => `${text} is ${shown(readPath(claims, path))}`),
      ].join('; ')
      const expected = `${term.text} is true`
      if (!held) refusals.push(reason('policy', codeOf(answer), `grant ${grant.id}: ${expected}`, actual))
      return { grant: grant.id, form: 'cel', rule: term.text, held, expected, actual }
    })
  return { findings, refusals }
}

/** Why a term does not hold: its answer is no, or it has none. */
export function codeOf(answer: CelAnswer) {
  if (answer.kind === 'bound') return 'policy.bound'
  return answer.kind === 'value' && answer.value === false ? 'policy.condition' : 'policy.error'
}

export function describe(answer: CelAnswer): string {
  switch (answer.kind) {
    case 'bound':
      return 'it takes more steps than a condition may'
    case 'error':
      return `it fails: ${answer.message}`
    case 'value':
      return typeof answer.value === 'boolean' ? `it is ${answer.value}` : 'it is no boolean'
  }
}
