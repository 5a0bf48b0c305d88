import { z } from 'zod'
import { VouchsafeError } from '../base/errors.ts'

/** Clocks of two machines may differ by this much. */
const SKEW_SECONDS = 30

/** A NumericDate, whole seconds. The bound is the year 9999, so that milliseconds are refused (E11). */
export const seconds = z.number().int().min(0).max(253_402_300_799)

/** @throws {VouchsafeError} `token.malformed` for a life that is too long or none, `token.expired` outside of it. */
export function checkTimes(
  { iat, nbf, exp }: { readonly iat: number; readonly nbf: number; readonly exp: number },
  maxLifetimeSeconds: number,
  at: Date,
): void {
  const now = Math.floor(at.getTime() / 1000)
  if (exp - iat > maxLifetimeSeconds || exp <= iat)
    throw new VouchsafeError('token.malformed', `a life of ${exp - iat} s, at most ${maxLifetimeSeconds} s`)
  const from = Math.max(nbf, iat)
  if (now < from - SKEW_SECONDS)
    throw new VouchsafeError(
      'token.expired',
      `valid from ${iso(from)}, and it is ${iso(now)}: the clocks differ by more than ${SKEW_SECONDS} s`,
    )
  if (now >= exp + SKEW_SECONDS)
    throw new VouchsafeError('token.expired', `valid until ${iso(exp)}, and it is ${iso(now)}`)
}

function iso(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString()
}
