import type { Agreement } from '../agreement/agreement.ts'
import type { AttestationResult } from '../token/attestation-result.ts'
import { type ConditionFinding, type Decision, type Reason, earliest, reason, reasonsAgainst } from './decision.ts'
import { judgeGrant } from './judge-grant.ts'
import { type Standing, judgeStanding } from './standing.ts'

export interface ResourceRequest {
  /** Paths at the deciding tenant; all are released or none. */
  readonly resources: readonly { readonly path: string; readonly version: number | null }[]
  /** The lease to renew, or null for a first release. */
  readonly lease: { readonly id: string; readonly machine: string; readonly agreement: string } | null
}

/**
 * May this workload have these resources now? A contraindicated appraisal, a withdrawal or a failed condition denies;
 * when only approvals are missing the answer is to wait, and it names who is missing.
 */
export function decide(
  result: AttestationResult,
  agreement: Agreement,
  standing: Standing,
  request: ResourceRequest,
  at: Date,
): Exclude<Decision, { kind: 'accept' }> {
  const denials: Reason[] = [...reasonsAgainst(result.appraisal)]
  const { denials: against, missing } = judgeStanding(agreement, standing, at)
  denials.push(...against)

  const { lease } = request
  if (lease !== null && (lease.machine !== result.claims.machine || lease.agreement !== agreement.digest))
    denials.push(
      reason(
        'policy',
        'release.unknown',
        `lease ${lease.id} of ${lease.machine} under ${lease.agreement}`,
        `${result.claims.machine} under ${agreement.digest}`,
      ),
    )

  const grants: string[] = []
  const ends: string[] = []
  const conditions: ConditionFinding[] = []
  if (request.resources.length === 0)
    denials.push(reason('policy', 'policy.resource', 'at least one resource', 'none was asked for'))
  for (const { path, version } of request.resources) {
    const candidates = agreement.body.grants.filter((g) => g.owner === standing.owner && g.resources.includes(path))
    if (candidates.length === 0) {
      denials.push(
        reason('policy', 'policy.no-condition', `a grant of ${standing.owner} for ${path}`, 'the agreement has none'),
      )
      continue
    }
    if (version === null) {
      denials.push(reason('policy', 'release.unknown', `a resource ${path}`, 'there is none'))
      continue
    }
    const judged = candidates.map((g) => ({ id: g.id, ...judgeGrant(g, result.claims, at, result.sets) }))
    const met = judged.find((j) => j.refusals.length === 0)
    if (met === undefined) denials.push(...judged.flatMap((j) => j.refusals))
    else {
      grants.push(met.id)
      if (met.until !== undefined) ends.push(met.until)
    }
    conditions.push(...judged.flatMap((j) => j.findings))
  }

  const [first, ...rest] = denials
  if (first !== undefined) return { kind: 'deny', reasons: [first, ...rest], conditions }
  const [missingFirst, ...missingRest] = missing
  if (missingFirst !== undefined) {
    const { owners, quorum } = agreement.body
    const approved = owners.length - missing.length
    const expected = `${quorum} of ${owners.length} owners to approve, ${standing.owner} among them`
    const actual = `${approved} of ${owners.length} owners ${approved === 1 ? 'has' : 'have'} approved; waiting for ${missing.join(', ')}`
    return {
      kind: 'wait',
      missingApprovals: [missingFirst, ...missingRest],
      reasons: [reason('policy', 'agreement.waiting', expected, actual)],
      conditions,
    }
  }
  const [granted, ...more] = grants
  if (granted === undefined)
    return { kind: 'deny', reasons: [reason('policy', 'policy.no-condition', 'a grant', 'none applied')], conditions }
  const until = earliest(ends)
  return { kind: 'release', grants: [granted, ...more], conditions, ...(until !== undefined && { until }) }
}
