import type { CryptoPort } from '../base/crypto.ts'
import { fromBase64 } from '../base/encoding.ts'
import { parseAnchor } from '../x509/index.ts'
import type { HardwareCollateral, HardwareEvidence } from './hardware/hardware-evidence.ts'
import { type VerifiedHardwareEvidence, verifyHardwareEvidence } from './hardware/verify-hardware-evidence.ts'
import type { PlatformEvidence } from './platform/platform-evidence.ts'
import { type VerifiedPlatformEvidence, verifyPlatformEvidence } from './platform/verify-platform-evidence.ts'
import type { TpmEvidence } from './tpm/tpm-evidence.ts'
import type { VerifiedTpmEvidence } from './tpm/verify-tpm-evidence.ts'
import { type EvidenceRequest, freshBinding, verifyEvidence } from './verify.ts'

/** What was asked and shown, of whichever kind. */
export type AnyEvidenceRequest = Omit<EvidenceRequest, 'evidence'> & {
  readonly evidence: TpmEvidence | HardwareEvidence | PlatformEvidence
  /** What the CPU's vendor says, where a CPU speaks. */
  readonly collateral?: HardwareCollateral | null
}

/**
 * Is the evidence well formed, authentic and made for this very request, whoever made it? A machine with a TPM has to be
 * enrolled; a CPU is known by its maker's word, a cloud's vTPM by its cloud's.
 *
 * @throws {VouchsafeError} `evidence.*`, `endorsement.*`, `input.malformed`
 */
export async function verifyAnyEvidence(
  input: AnyEvidenceRequest,
  crypto: CryptoPort,
): Promise<VerifiedTpmEvidence | VerifiedHardwareEvidence | VerifiedPlatformEvidence> {
  const { evidence } = input
  if (evidence.format === 'tpm') return verifyEvidence({ ...input, evidence }, crypto)
  const binding = freshBinding(input, crypto)
  const anchors = input.anchors.map((a) => parseAnchor(fromBase64(a.certificate, 'anchor'), a))
  const { collateral = null } = input
  const trust = { anchors, collateral, binding, at: new Date(input.at) }
  return evidence.format === 'azure-vtpm' || evidence.format === 'gce-vtpm'
    ? verifyPlatformEvidence(evidence, trust, crypto)
    : verifyHardwareEvidence(evidence, trust, crypto)
}
