import { toHex } from '../base/encoding.ts'
import type { VerifiedTpmEvidence } from '../evidence/tpm/verify-tpm-evidence.ts'
import { assertVerified } from '../evidence/verified.ts'
import type { Claims, PlatformClaims } from './claims.ts'

/** A TPM says nothing of the CPU beside it, and keeps nobody out. */
export const NO_PLATFORM: PlatformClaims = {
  vendor: 'none',
  family: '',
  chip: '',
  firmware: '',
  microcode: 0,
  tcbStatus: '',
  advisories: [],
  tcbDate: '',
  measurement: '',
  hostMayInspect: true,
  fields: {},
  hostChosen: {},
}

/** Verified TPM evidence in our words. The class is the anchor's, and no TPM keeps the host out (decision 10). */
export function toClaims(evidence: VerifiedTpmEvidence): Claims {
  assertVerified(evidence)
  const { quote, anchor, registers } = evidence
  return {
    format: 'tpm',
    class: anchor.class,
    simulated: anchor.class === 'simulated',
    hostExcluded: false,
    machine: evidence.machine,
    anchor: anchor.name,
    anchors: [anchor.name],
    boot: {
      registers: registersOf(registers),
      resetCount: quote.resetCount,
      restartCount: quote.restartCount,
    },
    platform: NO_PLATFORM,
    launch: evidence.launch,
  }
}

/** Those that count, by number (B09). */
export function registersOf(registers: ReadonlyMap<number, Uint8Array>): Claims['boot']['registers'] {
  return Object.fromEntries([...registers].filter(([n]) => n < 16).map(([n, value]) => [String(n), toHex(value)]))
}
