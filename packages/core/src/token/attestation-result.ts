import type { OpenedSet } from '../agreement/reference/named-set.ts'
import type { Appraisal, Tier, TrustAspect } from '../appraisal/finding.ts'
import type { Claims } from '../claims/claims.ts'

/** What a verifier concluded about one attester: the content of a token, and what policy reads. */
export interface AttestationResult {
  readonly claims: Claims
  readonly appraisal: Appraisal
  /** The reference sets that the agreement names, as they were found: policies may ask them. Left out: there are none. */
  readonly sets?: readonly OpenedSet[]
}

/** EAR spells tiers as numbers in trust vectors. @source draft-ietf-rats-ar4si section 2.3.2 */
const VECTOR_VALUE: Readonly<Record<Tier, number>> = { none: 0, affirming: 2, warning: 32, contraindicated: 96 }

const VECTOR_NAME: Readonly<Record<TrustAspect, string>> = {
  'instance-identity': 'instance-identity',
  configuration: 'configuration',
  executables: 'executables',
  hardware: 'hardware',
}

/** The `submods` member of an EAR: one appraised submodule, `machine`. @source draft-ietf-rats-ear section 3 */
export function toSubmodules(result: AttestationResult, policyId: string) {
  const { claims, appraisal } = result
  const vector = Object.fromEntries(
    Object.entries(appraisal.vector)
      .filter(([, tier]) => tier !== 'none')
      .map(([aspect, tier]) => [VECTOR_NAME[aspect as TrustAspect], VECTOR_VALUE[tier]]),
  )
  return {
    machine: {
      'ear.status': appraisal.tier,
      'ear.trustworthiness-vector': vector,
      'ear.appraisal-policy-id': policyId,
      'vouchsafe.claims': {
        format: claims.format,
        class: claims.class,
        simulated: claims.simulated,
        hostExcluded: claims.hostExcluded,
        image: claims.launch.image,
        agreement: claims.launch.agreement,
      },
    },
  }
}
