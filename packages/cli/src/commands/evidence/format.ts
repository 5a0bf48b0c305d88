import type { Output } from '../../output.ts'

/** A file that holds evidence, or something that is known not to be. */
export interface EvidenceFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** What `evidence verify` was given beside the file, as texts of the command line. */
export interface VerifyOptions {
  readonly nonce?: string
  readonly trustKey?: readonly string[]
  readonly trustRoot?: readonly string[]
  readonly google?: boolean
  readonly intermediate?: readonly string[]
  readonly teeNonce?: string
  readonly certifiedKeyOnly?: 'sign' | 'decrypt'
  readonly bank?: string
  readonly unexplained?: string
  readonly withoutBootLog?: boolean
  readonly looseBoot?: boolean
  readonly machineState?: string
  readonly format?: 'textproto' | 'binarypb'
  readonly at?: string
  readonly dangerouslyTrustItsOwnKey?: boolean
  readonly withoutNonce?: boolean
  readonly certificate?: readonly string[]
  readonly collateral?: string
  readonly withoutCollateral?: boolean
  readonly trustAnchors?: string
  readonly eventLog?: string
}

/** What `evidence show` was given beside the file. */
export interface ShowOptions {
  /** An agreement, or pins. */
  readonly pins?: string
  /** The CCEL log of a TD. */
  readonly eventLog?: string
}

/** An answer, also when it is no. */
export interface Answer {
  readonly json: object
  readonly text: string
}

export interface Verdict extends Answer {
  readonly accepted: boolean
  /** Who made the evidence, for a log of verifications: what identifies the attester, if anything does. */
  readonly machine?: string
}

/** One kind of evidence file. A new kind is a file beside this one, and a line in `formats.ts`. */
export interface EvidenceFormat {
  /** As people know it. */
  readonly name: string
  /** The options that mean something for it. Others are refused: leaving out a check must not go unseen. */
  readonly options: readonly (keyof VerifyOptions)[]
  /** Those of `show`. */
  readonly showOptions: readonly (keyof ShowOptions)[]
  /** By content alone; believes nothing. */
  recognises(bytes: Uint8Array): boolean
  /** Everything it says, unverified. */
  show(file: EvidenceFile, options: ShowOptions): Answer | Promise<Answer>
  /** Throws on evidence that is malformed or not authentic. */
  verify(file: EvidenceFile, options: VerifyOptions, output: Output): Promise<Verdict>
}
