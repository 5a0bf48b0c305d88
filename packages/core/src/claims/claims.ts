import type { Launch } from '@vouchsafe/tpm/eventlog'
import { ANCHOR_CLASSES, type AnchorClass } from '../x509/index.ts'

/** How much the anchor of the evidence lets one conclude, strongest first (design.md section 6, decision 10). */
export const ASSURANCE_CLASSES = ANCHOR_CLASSES
export type AssuranceClass = AnchorClass

/** True when `actual` is as strong as `least` or stronger. */
export function isAtLeast(actual: AssuranceClass, least: AssuranceClass): boolean {
  return ASSURANCE_CLASSES.indexOf(actual) <= ASSURANCE_CLASSES.indexOf(least)
}

/** What the launcher measured before it started the workload: read from a log that replays to a quoted register. */
export type LaunchClaims = Launch

/**
 * What verified evidence says, in words that fit every vendor. `Verified` evidence goes in, nothing else: claims that
 * only the guest asserts are not here (E20).
 */
export interface Claims {
  /** The evidence format. */
  readonly format: 'tpm'
  readonly class: AssuranceClass
  /** True exactly when the class is `simulated`; carried apart so that no policy can overlook it. */
  readonly simulated: boolean
  /** Whether the hardware keeps host and hypervisor out of the guest's memory. A TPM alone never does (decision 10). */
  readonly hostExcluded: boolean
  /** The enrolled machine: its id derives from endorsement and attestation key. */
  readonly machine: string
  /** The trust anchor in which the chain ends. */
  readonly anchor: string
  readonly boot: {
    /** SHA-256 registers 0 to 15, lower-case hexadecimal, by number. 16 to 23 can be reset by the guest and never count (B09). */
    readonly registers: Readonly<Record<string, string>>
    /** Times the machine was reset, and restarted from sleep, as the TPM counts them. */
    readonly resetCount: number
    readonly restartCount: number
  }
  readonly launch: LaunchClaims
}
