import type { Digest } from '../base/digest.ts'
import type { Approval, Withdrawal } from '../agreement/statement.ts'
import { type Reason, reason } from './decision.ts'

/** What owners consent to: an agreement, or the terms of one client. */
export interface Consented {
  readonly digest: Digest
  readonly body: {
    readonly notBefore: string
    readonly expires: string
    readonly owners: readonly { readonly id: string; readonly keys: readonly string[] }[]
    /** Left out: all of them. */
    readonly quorum?: number
  }
}

/** How an agreement stands at one tenant: statements verified already, by whoever gathered them. */
export interface Standing {
  /** The owner whose resources this tenant keeps, as its registry says; never what an agreement says (decision 1). */
  readonly owner: string
  readonly ownerKeys: readonly string[]
  readonly approvals: readonly Approval[]
  readonly withdrawals: readonly Withdrawal[]
  /** Digest of the newer version that is in force here, or null. */
  readonly supersededBy: string | null
}

export interface StandingResult {
  readonly denials: readonly Reason[]
  readonly missing: readonly string[]
}

/** Who has approved, who is missing, and what stands against the agreement at a time. */
export function judgeStanding(agreement: Consented, standing: Standing, at: Date): StandingResult {
  const { body, digest } = agreement
  const denials: Reason[] = []
  const now = at.getTime()
  if (now < Date.parse(body.notBefore) || now >= Date.parse(body.expires))
    denials.push(
      reason('policy', 'agreement.expired', `a time from ${body.notBefore} to ${body.expires}`, at.toISOString()),
    )
  if (standing.supersededBy !== null)
    denials.push(
      reason(
        'policy',
        'agreement.superseded',
        `agreement ${digest} to be the newest version`,
        `${standing.supersededBy} is in force`,
      ),
    )
  for (const withdrawal of standing.withdrawals.filter(
    (w) => w.agreement === digest && isParty(agreement, standing, w.owner, w.key),
  ))
    denials.push(
      reason(
        'policy',
        'agreement.withdrawn',
        'no owner has withdrawn',
        `${withdrawal.owner} withdrew on ${withdrawal.issued}: ${withdrawal.reason}`,
      ),
    )
  const own = body.owners.find((o) => o.id === standing.owner)
  if (own === undefined || !own.keys.some((k) => standing.ownerKeys.includes(k)))
    denials.push(
      reason(
        'policy',
        'agreement.owner',
        `owner ${standing.owner} with a key of this tenant’s registry`,
        `owners ${body.owners.map((o) => o.id).join(', ')}`,
      ),
    )

  const live = standing.approvals.filter(
    (a) => a.agreement === digest && Date.parse(a.issued) <= now && now < Date.parse(a.expires),
  )
  // distinct owners, not statements or keys (G04); the tenant's own owner must be among them whatever the quorum (decision 1)
  const approved = new Set(live.filter((a) => isParty(agreement, standing, a.owner, a.key)).map((a) => a.owner))
  const others = body.owners.map((o) => o.id).filter((id) => !approved.has(id))
  const missing = approved.size >= (body.quorum ?? body.owners.length) && approved.has(standing.owner) ? [] : others
  return { denials, missing }
}

/** A statement counts under a key that the agreement gives its owner; this tenant's own owner also needs the registry's word. */
function isParty(agreement: Consented, standing: Standing, owner: string, key: string): boolean {
  const party = agreement.body.owners.find((o) => o.id === owner)
  return (
    party !== undefined && party.keys.includes(key) && (owner !== standing.owner || standing.ownerKeys.includes(key))
  )
}
