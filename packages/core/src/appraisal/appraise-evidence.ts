import type { CryptoPort } from '../base/crypto.ts'
import { VouchsafeError } from '../base/errors.ts'
import type { Claims } from '../claims/claims.ts'
import type { VerifiedHardwareEvidence } from '../evidence/hardware/verify-hardware-evidence.ts'
import type { VerifiedPlatformEvidence } from '../evidence/platform/verify-platform-evidence.ts'
import type { VerifiedTpmEvidence } from '../evidence/tpm/verify-tpm-evidence.ts'
import { type ReferenceValues, appraise, appraiseHardwareEvidence, appraisePlatformEvidence } from './appraise.ts'
import type { Appraisal } from './finding.ts'
import { measuredIn, measuredInTd } from './measured.ts'

/**
 * Is what the evidence says acceptable, whoever made it? Registers that are not as agreed come with the events behind them.
 *
 * @param reference - Counters are null where the machine is not enrolled, which neither CPUs nor vTPMs of clouds need be.
 * @param at - What a CPU's vendor says of it is judged at this time.
 * @throws {VouchsafeError} `evidence.unenrolled`
 */
export function appraiseEvidence(
  evidence: VerifiedTpmEvidence | VerifiedHardwareEvidence | VerifiedPlatformEvidence,
  claims: Claims,
  reference: Omit<ReferenceValues, 'counters'> & { readonly counters: ReferenceValues['counters'] | null },
  at: Date,
  crypto: CryptoPort,
): Appraisal {
  if ('platform' in evidence) {
    const ofCpu = evidence.cpu === null ? () => [] : measuredInTd(evidence.cpu, crypto)
    return appraisePlatformEvidence(evidence, claims, reference, at, { boot: measuredIn(evidence, crypto), cpu: ofCpu })
  }
  if ('hardware' in evidence)
    return appraiseHardwareEvidence(evidence, claims, reference, at, measuredInTd(evidence.hardware, crypto))
  const { counters } = reference
  if (counters === null) throw new VouchsafeError('evidence.unenrolled', 'no counters are kept for this machine')
  return appraise(claims, { ...reference, counters }, measuredIn(evidence, crypto))
}
