import { ERROR_CODES, type ErrorCode, VouchsafeError } from '@vouchsafe/core'

/** A refusal that was decided and recorded. The guest learns code and id; the sentence is for the owner (decision 19, F14). */
export class RecordedRefusal extends VouchsafeError {
  readonly decision: string

  constructor(code: ErrorCode, decision: string) {
    super(code, ERROR_CODES[code])
    this.decision = decision
  }
}

/** Makes the answer to a denied or waiting guest from the recorded code. */
export function refusalOf(code: string, decision: string): RecordedRefusal {
  return new RecordedRefusal(code in ERROR_CODES ? (code as ErrorCode) : 'internal', decision)
}

/**
 * Decides once, and again when the nonce turns out to have been used meanwhile: the second round knows that it is a
 * replay, so that the refusal of a replay is a recorded decision like any other (I10).
 */
export async function recordingReplays<T>(round: (replayed: boolean) => Promise<T>): Promise<T> {
  try {
    return await round(false)
  } catch (error) {
    const lostNonce =
      error instanceof VouchsafeError && error.code === 'evidence.stale' && !(error instanceof RecordedRefusal)
    if (!lostNonce) throw error
    return round(true)
  }
}
