import { CLAIM_SCHEMA, type ClaimType, type ObjectClaim } from './claim-schema.ts'

/** What a path through the claims leads to. */
export type ClaimAt =
  | { readonly kind: 'claim'; readonly claim: ClaimType }
  /** No claim can be there; `suggestion` is the claim that was probably meant. */
  | { readonly kind: 'none'; readonly suggestion: string | null }

/** One step below a claim: a member, a key, or null for one that is only known when a policy runs. */
export type ClaimStep = string | number | null

/** Where a path leads, by the schema alone. */
export function claimAt(path: readonly ClaimStep[]): ClaimAt {
  let at: ClaimType = CLAIM_SCHEMA
  for (const [i, step] of path.entries()) {
    const below = stepInto(at, step)
    if (below === null) {
      // whoever goes on from a claim that has no members probably meant the claim
      const suggestion = at.kind === 'object' ? suggest(path.slice(0, i + 1)) : claimPathText(path.slice(0, i))
      return { kind: 'none', suggestion }
    }
    at = below
  }
  return { kind: 'claim', claim: at }
}

function stepInto(at: ClaimType, step: ClaimStep): ClaimType | null {
  switch (at.kind) {
    case 'object':
      return typeof step === 'string' && Object.hasOwn(at.members, step) ? (at.members[step] ?? null) : null
    case 'map':
      return step === null || (typeof step === 'string' && (at.keys.length === 0 || at.keys.includes(step)))
        ? at.of
        : null
    case 'list':
      return typeof step === 'string' ? null : at.of
    case 'text':
    case 'flag':
    case 'integer':
      return null
  }
}

/** A path as policies write it. */
export function claimPathText(path: readonly ClaimStep[]): string {
  return path.reduce<string>((s, step) => {
    if (typeof step === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(step)) return s === '' ? step : `${s}.${step}`
    return `${s}[${step === null ? '_' : JSON.stringify(step)}]`
  }, '')
}

/** Every claim below a claim, by dotted path, containers included. */
export function claimPaths(of: ObjectClaim = CLAIM_SCHEMA, prefix = ''): readonly (readonly [string, ClaimType])[] {
  return Object.entries(of.members).flatMap(([name, claim]): (readonly [string, ClaimType])[] => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    return claim.kind === 'object' ? [[path, claim], ...claimPaths(claim, path)] : [[path, claim]]
  })
}

/** The claim whose path is nearest to one that leads nowhere; also found when only the last name is right. */
function suggest(path: readonly ClaimStep[]): string | null {
  const text = claimPathText(path)
  const last = String(path.at(-1) ?? '')
  let best: string | null = null
  let least = Infinity
  for (const [candidate] of claimPaths()) {
    const name = candidate.slice(candidate.lastIndexOf('.') + 1)
    const distance = Math.min(editDistance(text, candidate), editDistance(last, name) + 1)
    if (distance < least) [best, least] = [candidate, distance]
  }
  return least <= Math.max(2, Math.floor(text.length / 3)) ? best : null
}

/** The value of a set that is nearest to another text; null when none is near. */
export function nearest(wanted: string, values: readonly string[]): string | null {
  const [best] = values.map((v) => ({ v, d: editDistance(wanted, v) })).sort((a, b) => a.d - b.d)
  return best !== undefined && best.d <= Math.max(2, Math.floor(wanted.length / 3)) ? best.v : null
}

/** Insertions, deletions and changes of one letter between two short texts, letter case aside. */
function editDistance(from: string, to: string): number {
  const a = from.slice(0, 128).toLowerCase()
  const b = to.slice(0, 128).toLowerCase()
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      )
    row = next
  }
  return row[b.length] ?? 0
}

/**
 * Paths of claims that are missing or have another type than the schema gives. Policies are only asked about claims
 * that are complete: a rule like `not input.launch.debug` would hold of a guest that says nothing (F01).
 */
export function misfits(claims: unknown, schema: ClaimType = CLAIM_SCHEMA, path = ''): readonly string[] {
  const wrong = [path === '' ? 'claims' : path]
  switch (schema.kind) {
    case 'text':
      return typeof claims === 'string' && (schema.values?.includes(claims) ?? true) ? [] : wrong
    case 'flag':
      return typeof claims === 'boolean' ? [] : wrong
    case 'integer':
      return Number.isSafeInteger(claims) ? [] : wrong
    case 'list':
      return Array.isArray(claims) ? claims.flatMap((c, i) => misfits(c, schema.of, `${path}[${i}]`)) : wrong
    case 'map': {
      if (!isRecord(claims)) return wrong
      const keys = new Set([...schema.keys, ...Object.keys(claims)])
      return [...keys].flatMap((key) =>
        schema.keys.length > 0 && !schema.keys.includes(key)
          ? [`${path}[${JSON.stringify(key)}]`]
          : misfits(own(claims, key), schema.of, `${path}[${JSON.stringify(key)}]`),
      )
    }
    case 'object': {
      if (!isRecord(claims)) return wrong
      const at = (name: string) => (path === '' ? name : `${path}.${name}`)
      const strangers = Object.keys(claims).filter((name) => !Object.hasOwn(schema.members, name))
      return [
        ...Object.entries(schema.members).flatMap(([name, member]) => misfits(own(claims, name), member, at(name))),
        ...strangers.map(at),
      ]
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(record: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined
}
