import { VouchsafeError } from '../../base/errors.ts'
import type { OpenedSet } from './named-set.ts'
import type { ReferenceJson } from './reference-json.ts'
import type { ReferenceEntry } from './reference-set.ts'

/** What a name stands for, and on whose word. */
export interface ReferenceAnswer {
  /** Null when no set has a value of this name that holds. */
  readonly value: ReferenceJson | null
  /** Who says so, for an owner to read. */
  readonly source: string
  /** Until when; null when there is no value. */
  readonly until: string | null
}

/**
 * The value that the sets of an agreement give for a name. Only values that hold speak: what is over, what its owner ended,
 * and what somebody else signed was left out when the sets were opened. Several sets may say the same; when they differ
 * there is no answer, since nobody said whose word comes first.
 *
 * @throws {VouchsafeError} `policy.error` where there is no answer: no set is named, one is missing, or two differ
 */
export function queryReference(sets: readonly OpenedSet[], name: string): ReferenceAnswer {
  if (sets.length === 0) throw new VouchsafeError('policy.error', 'the agreement names no set of reference values')
  const closed = sets.find(({ version }) => version === null)
  // what it would have said is not known, so neither is what the others may say alone
  if (closed !== undefined)
    throw new VouchsafeError('policy.error', `reference set ${closed.named.set}: ${closed.refusal}`)
  const found = sets.flatMap((set) => set.live.filter(({ id }) => id === name).map((entry) => ({ set, entry })))
  const latest = found.reduce<(typeof found)[number] | null>(
    (best, one) => (best === null || Date.parse(one.entry.notAfter) > Date.parse(best.entry.notAfter) ? one : best),
    null,
  )
  if (latest === null)
    return { value: null, source: `no value that holds in ${sets.map(toldOf).join(' or ')}`, until: null }
  const value = valueOf(latest.entry)
  const other = found.find(({ entry }) => textOf(valueOf(entry)) !== textOf(value))
  if (other !== undefined)
    throw new VouchsafeError(
      'policy.error',
      `${name} is one thing in ${toldOf(latest.set)}, and another in ${toldOf(other.set)}`,
    )
  return { value, source: `${toldOf(latest.set)}, until ${latest.entry.notAfter}`, until: latest.entry.notAfter }
}

/** Lists wherever a claim is to be one of several; registers by their names where a value counts whole (D12). */
function valueOf(entry: ReferenceEntry): ReferenceJson {
  switch (entry.kind) {
    case 'value':
      return entry.value
    case 'component':
      return entry.digests
    case 'snp':
      return [entry.measurement]
    case 'tdx': {
      const { mrTd, rtmr0, rtmr1, rtmr2, rtmr3 } = entry
      return {
        mrTd,
        ...(rtmr0 !== undefined && { rtmr0 }),
        ...(rtmr1 !== undefined && { rtmr1 }),
        ...(rtmr2 !== undefined && { rtmr2 }),
        ...(rtmr3 !== undefined && { rtmr3 }),
      }
    }
    case 'tpm':
      return entry.registers
  }
}

/** Members by name, so that two signers may write theirs in any order. */
function textOf(value: ReferenceJson): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )
}

function toldOf({ named, version }: OpenedSet): string {
  return `${named.set}, version ${version?.set.version ?? 0}, of ${named.signer}`
}
