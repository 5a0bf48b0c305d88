import { type ClaimStep, claimAt, claimPathText, nearest } from '../claims/claim-paths.ts'
import type { ClaimType } from '../claims/claim-schema.ts'
import type { PolicyFinding, Place } from './policy-finding.ts'

/** A claim that a policy reads, found without running it. */
export interface ClaimUse {
  readonly path: readonly ClaimStep[]
  readonly place: Place
}

/** A claim that a policy holds against a constant. */
export interface ClaimComparison {
  readonly path: readonly ClaimStep[]
  /** `order`: `<`, `>=` and the like. `member`: whether the constant is in the claim. */
  readonly operator: 'equal' | 'order' | 'member'
  readonly constant: string | number | boolean | null
  readonly place: Place
}

/** A reference value that a policy asks for; null where the name is not written out. */
export interface ReferenceUse {
  readonly name: string | null
  readonly place: Place
}

export interface Uses {
  readonly reads: readonly ClaimUse[]
  readonly comparisons: readonly ClaimComparison[]
}

/** Claims that cannot exist, and comparisons that cannot come out as meant. */
export function checkUses({ reads, comparisons }: Uses): readonly PolicyFinding[] {
  const unknown = reads.flatMap(({ path, place }): PolicyFinding[] => {
    const at = claimAt(path)
    if (at.kind === 'claim') return []
    const hint = at.suggestion === null ? 'see docs/reference/claims.md' : `did you mean ${at.suggestion}?`
    return [
      {
        severity: 'refuse',
        check: 'unknown-claim',
        message: `there is no claim ${claimPathText(path)}`,
        hint,
        place,
      },
    ]
  })
  return [...unknown, ...comparisons.flatMap(checkComparison)]
}

function checkComparison({ path, operator, constant, place }: ClaimComparison): readonly PolicyFinding[] {
  const at = claimAt(path)
  if (at.kind === 'none') return []
  const claim = operator === 'member' ? elementOf(at.claim) : at.claim
  const name = claimPathText(path)
  if (claim === null)
    return [
      {
        severity: 'refuse',
        check: 'type',
        message: `${name} holds no elements, so nothing is ever in it`,
        hint: `${name} is ${article(at.claim)}`,
        place,
      },
    ]
  const wanted = jsonTypeOf(claim)
  if (typeof constant !== wanted)
    return [
      {
        severity: 'refuse',
        check: 'type',
        message:
          operator === 'order'
            ? `${name} is ${article(claim)}; held against ${JSON.stringify(constant)} the order of types decides, not the value`
            : `${name} is ${article(claim)} and never equals ${JSON.stringify(constant)}`,
        hint: `compare it with a ${wanted}`,
        place,
      },
    ]
  if (claim.kind === 'text' && claim.values !== undefined && operator !== 'order' && typeof constant === 'string') {
    if (claim.values.includes(constant)) return []
    const near = nearest(constant, claim.values)
    return [
      {
        severity: 'refuse',
        check: 'unknown-value',
        message: `${name} is never ${JSON.stringify(constant)}`,
        hint: near === null ? `it is one of ${claim.values.join(', ')}` : `did you mean ${JSON.stringify(near)}?`,
        place,
      },
    ]
  }
  return []
}

/** True when a claim was measured or vouched for, so that a condition may stand on it. */
export function isFact(path: readonly ClaimStep[]): boolean {
  const at = claimAt(path)
  return at.kind === 'claim' && at.claim.kind !== 'object' && at.claim.weight === 'fact'
}

function elementOf(claim: ClaimType): ClaimType | null {
  return claim.kind === 'list' || claim.kind === 'map' ? claim.of : null
}

function jsonTypeOf(claim: ClaimType): 'string' | 'boolean' | 'number' | 'object' {
  switch (claim.kind) {
    case 'text':
      return 'string'
    case 'flag':
      return 'boolean'
    case 'integer':
      return 'number'
    case 'list':
    case 'map':
    case 'object':
      return 'object'
  }
}

function article(claim: ClaimType): string {
  switch (claim.kind) {
    case 'text':
      return 'a text'
    case 'flag':
      return 'true or false'
    case 'integer':
      return 'a number'
    case 'list':
      return 'a list'
    case 'map':
    case 'object':
      return 'an object'
  }
}
