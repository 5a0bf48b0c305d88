import type { VerifiedHardwareEvidence } from '../evidence/hardware/verify-hardware-evidence.ts'
import type { VerifiedPlatformEvidence } from '../evidence/platform/verify-platform-evidence.ts'
import type { VerifiedTpmEvidence } from '../evidence/tpm/verify-tpm-evidence.ts'
import type { Claims } from './claims.ts'
import { claimsFromHardware } from './from-hardware.ts'
import { claimsFromPlatform } from './from-platform.ts'
import { toClaims } from './from-tpm.ts'

/** What verified evidence says, whoever made it. */
export function claimsOf(evidence: VerifiedTpmEvidence | VerifiedHardwareEvidence | VerifiedPlatformEvidence): Claims {
  if ('platform' in evidence) return claimsFromPlatform(evidence)
  return 'hardware' in evidence ? claimsFromHardware(evidence) : toClaims(evidence)
}
