import {
  type Claims,
  type Grant,
  type OpenedSet,
  ReferenceQueries,
  type RegoAnswer,
  compileRego,
  evaluateRego,
} from '@vouchsafe/core'
import { RegoError, formatValue } from '@vouchsafe/rego'

const MAX_TRIES = 2_000

/** One claim and what it would have to be. */
export interface WouldChange {
  readonly claim: string
  readonly is: string
  readonly wouldHaveToBe: string
}

/** The smallest set of claims that would change the answer of a grant's Rego rule; null when none was found. */
export function whatWouldChange(
  grant: Grant,
  claims: Claims,
  at: Date,
  sets: readonly OpenedSet[],
): readonly WouldChange[] | null {
  if (grant.rego === undefined) return null
  let flip: RegoAnswer['explanation']['flip']
  try {
    const context = { at, queries: new ReferenceQueries(sets), tries: MAX_TRIES }
    flip = evaluateRego(compileRego(grant.rego), grant.rego.allow, claims, context).explanation.flip
  } catch (error) {
    if (error instanceof RegoError) return null // no answer, so none to change
    throw error
  }
  if (flip === undefined) return null
  const text = (v: (typeof flip)[number]['from']) => (v === undefined ? 'not there' : formatValue(v))
  return flip.map((f) => ({ claim: f.text, is: text(f.from), wouldHaveToBe: text(f.to) }))
}
