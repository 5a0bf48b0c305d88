import { TpmError } from '../../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../../verify/crypto.ts'
import { EV } from '../event-types.ts'
import { toHex } from '../hex.ts'
import { startupLocality } from '../startup-locality.ts'
import type { TcgEvent, TcgLog } from '../tcg-log.ts'
import { describeEvent, registerName } from './describe-event.ts'
import type { EventDescription } from './describe-event.ts'
import { proofIn } from './measured-part.ts'

/** One difference between two boots, where it stands in the order of its register. */
export type BootChange =
  | { readonly kind: 'added'; readonly after: EventDescription }
  | { readonly kind: 'removed'; readonly before: EventDescription }
  /** At the same place, of the same type, something else. */
  | { readonly kind: 'changed'; readonly before: EventDescription; readonly after: EventDescription }

export interface RegisterChanges {
  readonly register: string
  readonly changes: readonly [BootChange, ...BootChange[]]
}

export interface BootComparison {
  readonly bank: HashName
  /** Registers that both boots extended alike, and so end with one value. */
  readonly unchanged: readonly string[]
  readonly changed: readonly RegisterChanges[]
  /** Told only when it differs: PCR 0 starts with it. */
  readonly startupLocality?: { readonly before: number; readonly after: number }
}

/** More pairs than this are not searched for what they have in common: then all of one side is gone and all of the other new. */
const MAX_PAIRS = 4_000_000

/**
 * What differs between two boots, register by register, in the order of measurement. Compares digests, so that what a log
 * only says (types, names, paths) makes no difference; whether either log is what a TPM holds is for `verifyReplays`.
 *
 * @throws {TpmError} `input.malformed` when the logs are of different kinds, or one lacks the bank.
 */
export function compareBoots(
  before: TcgLog,
  after: TcgLog,
  bank: HashName,
  crypto: Pick<VerifyCrypto, 'digest'>,
): BootComparison {
  if (before.space !== after.space)
    throw new TpmError('input.malformed', `one log is of ${before.space}, the other of ${after.space} registers`)
  const [old, now] = [byRegister(before, bank), byRegister(after, bank)]
  const context = proofIn(bank, crypto)
  const describe = (event: TcgEvent) => describeEvent(event, before.space, context)
  const unchanged: string[] = []
  const changed: RegisterChanges[] = []
  for (const register of [...new Set([...old.keys(), ...now.keys()])].sort((a, b) => a - b)) {
    const name = registerName(register, before.space)
    const [first, ...rest] = changesOf(old.get(register) ?? [], now.get(register) ?? [], describe)
    if (first === undefined) unchanged.push(name)
    else changed.push({ register: name, changes: [first, ...rest] })
  }
  const localities = { before: startupLocality(before), after: startupLocality(after) }
  const sameStart = localities.before === localities.after
  return { bank, unchanged, changed, ...(!sameStart && { startupLocality: localities }) }
}

interface Measured {
  readonly event: TcgEvent
  readonly digest: string
}

function byRegister(log: TcgLog, bank: HashName): ReadonlyMap<number, readonly Measured[]> {
  const registers = new Map<number, Measured[]>()
  for (const event of log.events) {
    if (event.register === 'none' || event.type === EV.NO_ACTION) continue
    const digest = event.digests.get(bank)
    if (digest === undefined)
      throw new TpmError('input.malformed', `a log has no ${bank} bank, only ${log.banks.join(', ')}`)
    const list = registers.get(event.register) ?? []
    list.push({ event, digest: toHex(digest) })
    registers.set(event.register, list)
  }
  return registers
}

function changesOf(
  before: readonly Measured[],
  after: readonly Measured[],
  describe: (event: TcgEvent) => EventDescription,
): readonly BootChange[] {
  const changes: BootChange[] = []
  for (const { removed, added } of differingRuns(before, after)) {
    const pairs = Math.max(removed.length, added.length)
    for (let i = 0; i < pairs; i++) {
      const [gone, come] = [removed[i], added[i]]
      if (gone !== undefined && come !== undefined && gone.event.type === come.event.type)
        changes.push({ kind: 'changed', before: describe(gone.event), after: describe(come.event) })
      else {
        if (gone !== undefined) changes.push({ kind: 'removed', before: describe(gone.event) })
        if (come !== undefined) changes.push({ kind: 'added', after: describe(come.event) })
      }
    }
  }
  return changes
}

interface Run {
  readonly removed: readonly Measured[]
  readonly added: readonly Measured[]
}

/** Stretches between what both have in common, by a longest common subsequence of digests. */
function differingRuns(before: readonly Measured[], after: readonly Measured[]): readonly Run[] {
  const same = (i: number, j: number) => before[i]?.digest === after[j]?.digest
  let start = 0
  while (start < before.length && start < after.length && same(start, start)) start++
  let [oldEnd, newEnd] = [before.length, after.length]
  while (oldEnd > start && newEnd > start && same(oldEnd - 1, newEnd - 1)) [oldEnd, newEnd] = [oldEnd - 1, newEnd - 1]
  const [rows, columns] = [oldEnd - start, newEnd - start]
  if (rows * columns > MAX_PAIRS) return [{ removed: before.slice(start, oldEnd), added: after.slice(start, newEnd) }]
  const longest = commonLengths(rows, columns, (i, j) => same(start + i, start + j))
  const at = (i: number, j: number) => longest[i * (columns + 1) + j] ?? 0
  const runs: Run[] = []
  let run: { removed: Measured[]; added: Measured[] } = { removed: [], added: [] }
  const close = () => {
    if (run.removed.length + run.added.length > 0) runs.push(run)
    run = { removed: [], added: [] }
  }
  for (let i = 0, j = 0; i < rows || j < columns;) {
    if (i < rows && j < columns && same(start + i, start + j)) {
      close()
      i++
      j++
    } else if (j === columns || (i < rows && at(i + 1, j) >= at(i, j + 1)))
      run.removed.push(...before.slice(start + i, start + ++i))
    else run.added.push(...after.slice(start + j, start + ++j))
  }
  close()
  return runs
}

/** For each pair of ends, how many the rest of both have in common. */
function commonLengths(rows: number, columns: number, same: (i: number, j: number) => boolean): Uint32Array {
  const width = columns + 1
  const lengths = new Uint32Array((rows + 1) * width)
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0
  for (let i = rows - 1; i >= 0; i--)
    for (let j = columns - 1; j >= 0; j--)
      lengths[i * width + j] = same(i, j) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  return lengths
}
