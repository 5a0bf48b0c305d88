import type { Launch } from '@vouchsafe/tpm/eventlog'
import { ANCHOR_CLASSES, type AnchorClass } from '../x509/index.ts'

/** How much the anchor of the evidence lets one conclude, strongest first (design.md section 6, decision 10). */
export const ASSURANCE_CLASSES = ANCHOR_CLASSES
export type AssuranceClass = AnchorClass

/** True when `actual` is as strong as `least` or stronger. */
export function isAtLeast(actual: AssuranceClass, least: AssuranceClass): boolean {
  return ASSURANCE_CLASSES.indexOf(actual) <= ASSURANCE_CLASSES.indexOf(least)
}

export const EVIDENCE_FORMATS = ['tpm', 'snp', 'tdx', 'azure-vtpm', 'gce-vtpm'] as const
export const PLATFORM_VENDORS = ['none', 'amd', 'intel'] as const

/** What the launcher measured before it started the workload: read from a log that replays to a quoted register. */
export type LaunchClaims = Launch

/**
 * What verified evidence says, in words that fit every vendor. `Verified` evidence goes in, nothing else: claims that
 * only the guest asserts are not here (E20).
 */
export interface Claims {
  /** The evidence format. */
  readonly format: (typeof EVIDENCE_FORMATS)[number]
  readonly class: AssuranceClass
  /** True exactly when the class is `simulated`; carried apart so that no policy can overlook it. */
  readonly simulated: boolean
  /** Whether the hardware keeps host and hypervisor out of the guest's memory. A TPM alone never does (decision 10). */
  readonly hostExcluded: boolean
  /**
   * The machine: a TPM's id derives from endorsement and attestation key, a CPU's from its chip and, on SNP, the guest, that of
   * a cloud's vTPM from its key and its last reset.
   */
  readonly machine: string
  /** The trust anchor in which the chain ends; of several, the one that lets one conclude the least. */
  readonly anchor: string
  /** Every anchor that the evidence rests on. */
  readonly anchors: readonly string[]
  readonly boot: {
    /**
     * SHA-256 registers 0 to 15, lower-case hexadecimal, by number. 16 to 23 can be reset by the guest and never count (B09).
     * Empty texts where there is no TPM.
     */
    readonly registers: Readonly<Record<string, string>>
    /** Times the machine was reset, and restarted from sleep, as the TPM counts them. */
    readonly resetCount: number
    readonly restartCount: number
  }
  readonly platform: PlatformClaims
  readonly launch: LaunchClaims
}

/** What a CPU says of itself and of the guest on it. Everything is empty, or the worse, where only a TPM speaks. */
export interface PlatformClaims {
  readonly vendor: (typeof PLATFORM_VENDORS)[number]
  /** Product line: `Milan`; FMSPC on Intel. */
  readonly family: string
  /** CHIP_ID or PPID in lower-case hexadecimal; `hidden` where the host hides it (D07). */
  readonly chip: string
  /** Version of the firmware that runs the guests: `1.55.29` on AMD; TEE_TCB_SVN on Intel. */
  readonly firmware: string
  /** Security version of the processor's microcode: MICROCODE on AMD; the first TCB component on Intel. */
  readonly microcode: number
  /** AMD: `committed` or `provisional`. Intel: what its collateral rates the platform. */
  readonly tcbStatus: string
  readonly advisories: readonly string[]
  /** When the platform's TCB was current, by Intel's collateral; empty where nobody says. */
  readonly tcbDate: string
  /** Of the guest's initial memory: MEASUREMENT, MRTD. */
  readonly measurement: string
  /** Whether whoever runs the machine can read or change the guest: debugging, or no such hardware at all. */
  readonly hostMayInspect: boolean
  /** What was measured or vouched for, field by field, in the vendor's spelling. */
  readonly fields: Readonly<Record<string, string>>
  /** What the host chose, in the vendor's spelling (D03). */
  readonly hostChosen: Readonly<Record<string, string>>
}
