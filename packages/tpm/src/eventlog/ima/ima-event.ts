/** What Linux' integrity measurement architecture measured of one file. */
export interface ImaEntry {
  /** Name of the hash as the kernel writes it: `sha1`, `sha256`. */
  readonly hash: string
  /** Of the file's contents. All zero when the file could not be measured reliably: see `ImaEvent.violation`. */
  readonly digest: Uint8Array
  /** Where the file was when it was opened, or a name that the kernel gives, such as `boot_aggregate`. */
  readonly path: string
  /** The file's signature, in the kernel's own format; empty when it has none. Template `ima-sig` only. */
  readonly signature?: Uint8Array
}

/** One record of a runtime measurement list. Nothing in it is authentic before `replayIma` and `verifyReplays`. */
export interface ImaEvent {
  readonly register: number
  /** SHA-1 of the template's data as the list has it; zero for a violation. */
  readonly templateHash: Uint8Array
  readonly template: string
  /** What is hashed, bank by bank, into the register. */
  readonly templateData: Uint8Array
  /** The file was being written while it was measured, so that its digest says nothing; the register got all ones. */
  readonly violation: boolean
  /** Absent for templates that are not known here: those replay, and say nothing. */
  readonly entry?: ImaEntry
}

/** Runtime measurements, in order. */
export type ImaLog = readonly ImaEvent[]

/** Linux gives IMA this register unless it is configured otherwise. */
export const IMA_REGISTER = 10
