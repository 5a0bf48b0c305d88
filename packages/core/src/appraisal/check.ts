import type { ErrorCode } from '../base/errors.ts'
import type { Finding, TrustAspect } from './finding.ts'

/** One finding of a check that either holds or contraindicates. */
export function must(check: ErrorCode, aspect: TrustAspect, holds: boolean, expected: string, actual: string): Finding {
  return { check, aspect, tier: holds ? 'affirming' : 'contraindicated', expected, actual }
}

/** `actual` must be on the list. An empty list accepts nothing; only the word `any` accepts everything. */
export function oneOf(
  check: ErrorCode,
  aspect: TrustAspect,
  what: string,
  accepted: readonly string[] | 'any',
  actual: string,
): Finding {
  const expected =
    accepted === 'any'
      ? `any ${what}`
      : accepted.length === 0
        ? `no ${what} at all`
        : `${what} ${accepted.join(' or ')}`
  return must(check, aspect, accepted === 'any' || accepted.includes(actual), expected, `${what} ${actual}`)
}
