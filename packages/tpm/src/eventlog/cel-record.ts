import type { Bank } from './bank.ts'
import type { RegisterSpace } from './tcg-log.ts'

/**
 * One record of a canonical event log. Its digests are those of the whole content TLV, header included; nothing is
 * authentic before the log has been replayed and compared with attested registers.
 */
export interface CelRecord {
  readonly space: RegisterSpace
  readonly register: number
  readonly digests: ReadonlyMap<Bank, Uint8Array>
  readonly content: { readonly type: number; readonly value: Uint8Array }
}

/** Records in order; a record's number is its place here. */
export type CelLog = readonly CelRecord[]

/** Who defines what a record's content says. Other types are refused by every reader here. */
export const CEL_CONTENT = {
  /** Launch events of this project, see `launch-events.ts`. */
  launch: 118,
  /** Google Confidential Space, and Container-Optimized OS. */
  confidentialSpace: 80,
  /** Google bare-metal hosts. */
  confidentialSpaceHost: 82,
} as const

/** Types of a record's four parts. @source TCG Canonical Event Log Format 1.0: TLV encoding; 108 as Google uses it for CCMRs */
export const CEL_PART = { recordNumber: 0, pcr: 1, digests: 3, ccmr: 108 } as const
