import type { Bank } from './bank.ts'

/**
 * Which numbers registers go by. `pcr`: 0 to 23. `ccmr`, in logs of confidential guests without TPM: 0 is the build-time
 * measurement (MRTD on TDX), n is runtime register n − 1 (RTMR0 to RTMR3).
 */
export type RegisterSpace = 'pcr' | 'ccmr'

/** The highest register of each space. */
export const LAST_REGISTER = { pcr: 23, ccmr: 4 } as const satisfies Record<RegisterSpace, number>

/** One measured event. Nothing here is authentic before replay, and `type` and most `data` not even then. */
export interface TcgEvent {
  /** Place in the log, counting the header of a crypto-agile log as 0, as other tools do. */
  readonly position: number
  /** `none`: information for a verifier that belongs to no register (index 0xFFFFFFFF). */
  readonly register: number | 'none'
  readonly type: number
  readonly digests: ReadonlyMap<Bank, Uint8Array>
  readonly data: Uint8Array
}

/** What the first record of a crypto-agile log says about the platform. */
export interface SpecIdHeader {
  readonly register: number
  /** 0 client, 1 server. */
  readonly platformClass: number
  readonly errata: number
  /** Size of the platform's UINTN: 1 for 32 bits, 2 for 64 bits. */
  readonly uintnSize: number
  readonly vendorInfo: Uint8Array
}

interface TcgLogBase {
  readonly space: RegisterSpace
  readonly banks: readonly Bank[]
  readonly events: readonly TcgEvent[]
}

/** A firmware boot log, in the order of measurement. The header of a crypto-agile log is not among `events`. */
export type TcgLog =
  | (TcgLogBase & { readonly format: 'crypto-agile'; readonly header: SpecIdHeader })
  | (TcgLogBase & { readonly format: 'sha1' })

export const SPEC_ID_03: Uint8Array = text('Spec ID Event03\0')
export const STARTUP_LOCALITY: Uint8Array = text('StartupLocality\0')

/** True when `bytes` begin with `prefix`. */
export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, i) => bytes[i] === byte)
}

function text(ascii: string): Uint8Array {
  return Uint8Array.from(ascii, (c) => c.charCodeAt(0))
}
