import type { Json } from '@vouchsafe/core'
import type { ClaimExpectation } from './issuer.ts'

export type Claims = Readonly<Record<string, Json>>

/** A claim that is not as expected. */
export interface ClaimMismatch {
  readonly claim: string
  readonly expected: string
  readonly found: string
}

/** Every claim that is not as expected; none means that all are. A claim that is missing is not as expected. */
export function mismatches(
  claims: Claims,
  expected: Readonly<Record<string, ClaimExpectation>>,
): readonly ClaimMismatch[] {
  return Object.entries(expected).flatMap(([claim, wanted]) => {
    const found = claimAt(claims, claim)
    if (matches(found, wanted)) return []
    const list = Array.isArray(wanted)
      ? `one of ${JSON.stringify(wanted)}`
      : `all of ${JSON.stringify(wanted.includes)}`
    return [{ claim, expected: list, found: found === undefined ? 'nothing' : JSON.stringify(found).slice(0, 200) }]
  })
}

function matches(found: Json | undefined, wanted: ClaimExpectation): boolean {
  if (Array.isArray(wanted)) return wanted.some((value) => value === found)
  return Array.isArray(found) && wanted.includes.length > 0 && wanted.includes.every((value) => found.includes(value))
}

/** Own members only: `constructor` is no claim. */
function claimAt(claims: Claims, path: string): Json | undefined {
  let at: Json | undefined = claims as Json
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined
    at = (at as Readonly<Record<string, Json>>)[name]
  }
  return at
}
