import type { ErrorCode } from '../base/errors.ts'
import { VouchsafeError } from '../base/errors.ts'

/** AR4SI tiers, worst first. Compared by this order, never by their numbers on the wire. */
export const TIERS = ['contraindicated', 'warning', 'none', 'affirming'] as const
export type Tier = (typeof TIERS)[number]

/** The claims of an AR4SI trustworthiness vector that our checks speak to. @source draft-ietf-rats-ar4si section 2.3 */
export const TRUST_ASPECTS = ['instance-identity', 'configuration', 'executables', 'hardware'] as const
export type TrustAspect = (typeof TRUST_ASPECTS)[number]

/** The result of one check. Content checks leave one too: what was not looked at must be visible. */
export interface Finding {
  /** The code that a refusal for this reason carries. */
  readonly check: ErrorCode
  readonly aspect: TrustAspect
  readonly tier: Tier
  readonly expected: string
  readonly actual: string
}

export interface Appraisal {
  readonly tier: Tier
  /** In the order of the checks. */
  readonly findings: readonly Finding[]
  /** Worst tier by aspect; an aspect that no check spoke to is `none`. */
  readonly vector: Readonly<Record<TrustAspect, Tier>>
  /** When a reference value that it rests on ends. Left out where it rests on none of a set. */
  readonly until?: string
}

/** The worst of the findings; without findings there is no good news: `none`. */
export function conclude(findings: readonly Finding[]): Appraisal {
  for (const f of findings) if (!TIERS.includes(f.tier)) throw new VouchsafeError('internal', `unknown tier ${f.tier}`)
  const vector = Object.fromEntries(
    TRUST_ASPECTS.map((a) => [a, worst(findings.filter((f) => f.aspect === a))]),
  ) as Record<TrustAspect, Tier>
  return { tier: worst(findings), findings, vector }
}

function worst(findings: readonly Finding[]): Tier {
  return TIERS.find((t) => findings.some((f) => f.tier === t)) ?? 'none'
}
