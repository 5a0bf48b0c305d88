import type { Grant } from '../agreement/agreement.ts'
import type { OpenedSet } from '../agreement/reference/named-set.ts'
import type { Claims } from '../claims/claims.ts'
import { misfits } from '../claims/claim-paths.ts'
import { refusalsOfEvidence, refusalsOfText } from './check-grant.ts'
import { type ConditionFinding, type Reason, earliest, reason } from './decision.ts'
import { judgeCel } from './judge-cel.ts'
import { judgePlain } from './judge-plain.ts'
import { judgeRego } from './judge-rego.ts'

/** What one form of condition gave: a finding for each rule, and why the grant does not apply, empty when it does. */
export interface Judgement {
  readonly findings: readonly ConditionFinding[]
  readonly refusals: readonly Reason[]
  /** When the first of the reference values ends that were asked for. Left out where none was. */
  readonly until?: string
}

/**
 * Does a grant apply to these claims? Every form of condition that it has must hold, each is asked, and each rule
 * leaves a finding. What cannot be asked, or gives no answer, refuses.
 *
 * @param at - The decision's time, which Rego reads as `time.now_ns`.
 * @param sets - The reference sets that the agreement names, as opened, for Rego to ask. Left out: none is named.
 */
export function judgeGrant(grant: Grant, claims: Claims, at: Date, sets: readonly OpenedSet[] = []): Judgement {
  const missing = misfits(claims)
  if (missing.length > 0) {
    const actual = `missing, or of another type: ${missing.slice(0, 8).join(', ')}`
    return { findings: [], refusals: [reason('policy', 'policy.claims', `grant ${grant.id}: complete claims`, actual)] }
  }
  const invalid = refusalsOfText(grant)
  if (invalid.length > 0) return { findings: [], refusals: invalid }
  const judgements = [judgePlain(grant, claims), judgeRego(grant, claims, at, sets), judgeCel(grant, claims)]
  const refusals = judgements.flatMap((j) => j.refusals)
  const until = earliest(judgements.flatMap((j) => j.until ?? []))
  return {
    findings: judgements.flatMap((j) => j.findings),
    refusals: refusals.length > 0 ? refusals : refusalsOfEvidence(grant, claims),
    ...(until !== undefined && { until }),
  }
}
