import { TpmError } from '@vouchsafe/tpm/codec'
import { VouchsafeError } from '../base/errors.ts'

/** Runs a parser that is built on the byte reader of `tpm`, whose errors become ours here (decision 21). */
export function parsed<T>(run: () => T): T {
  try {
    return run()
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause
    throw new VouchsafeError('input.malformed', cause.message, { cause })
  }
}

/** True when every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}
