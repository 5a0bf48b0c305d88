import type { ClaimStep } from '../claims/claim-paths.ts'

/** A value by its path, own members only; undefined when absent. */
export function readPath(claims: unknown, path: readonly ClaimStep[]): unknown {
  let at = claims
  for (const step of path) {
    if (step === null || typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string | number, unknown>)[step]
  }
  return at
}

/** A claim's value for an explanation, not at any length. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'not there' : JSON.stringify(value)
  return text.length > 160 ? `${text.slice(0, 157)}...` : text
}
