import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { fromUtf8, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { type Checkpoint, type VerifiedCheckpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts'
import { type Entry, MAX_ENTRY_BYTES, parseEntry, parseGenesis } from './entry.ts'
import type { LogKey } from './log-key.ts'
import { EMPTY_FRONTIER, appendLeaf, leafHash, rootOf } from './merkle.ts'
import { sameBytes } from './proof.ts'

/** One line of an exported log: the entry's exact bytes, and the checkpoint that was signed when it was appended. */
export interface ExportedEntry {
  readonly entry: Uint8Array
  readonly checkpoint: string
}

const lineSchema = z.strictObject({ entry: z.string().max(MAX_ENTRY_BYTES), checkpoint: z.string().max(16 * 1024) })

/** One line of JSON, without the newline. */
export function formatExportedEntry({ entry, checkpoint }: ExportedEntry): string {
  return JSON.stringify({ entry: fromUtf8(entry), checkpoint })
}

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large` */
export function parseExportedEntry(line: string): ExportedEntry {
  const { entry, checkpoint } = parseSchema(
    lineSchema,
    parseStrictJson(line, { maxBytes: 64 * 1024, maxDepth: 4 }),
    'line',
  )
  return { entry: utf8(entry), checkpoint }
}

/** What is wrong with a log. Codes are API. */
export const LEDGER_PROBLEMS = {
  malformed: 'The line is not an exported entry.',
  altered: 'The entry is not what was signed.',
  dropped: 'The entry is missing.',
  reordered: 'The entry is elsewhere in the file.',
  repeated: 'The entry was there before.',
  checkpoint: 'The entry’s checkpoint is not signed by the log’s key, or is of another size.',
  order: 'The entry’s time lies before that of the entry before it.',
  genesis: 'The log does not begin as its key says.',
  truncated: 'The log ends before a checkpoint that was kept.',
  rewritten: 'The log is consistent in itself, but is not the one whose checkpoint was kept.',
} as const
export type LedgerProblem = keyof typeof LEDGER_PROBLEMS

export type LedgerCheck =
  | {
      readonly ok: true
      readonly entries: number
      readonly head: Checkpoint
      /** Size of the kept checkpoint that this log continues; null when none was given. */
      readonly continues: number | null
      readonly statement: string
    }
  | {
      readonly ok: false
      /** Entries that are in order before the first that is not. */
      readonly entries: number
      /** Number of the first entry that is wrong. */
      readonly at: number
      readonly problem: LedgerProblem
      readonly statement: string
    }

/**
 * Checks an exported log offline, from its first entry to its last, and names the first that was altered, dropped,
 * moved or repeated (I05). Each line carries the checkpoint that was signed when it was appended, so the first line
 * whose recomputed root differs is the culprit.
 *
 * @param lines - In file order, without newlines. Read once and never held together.
 * @param logKey - From the agreement or an owner's file, never from the export.
 * @param kept - A checkpoint of this log that the caller kept from earlier. Without one, an end cut off cannot be seen,
 *   and the statement says so (decision 16).
 * @returns Also when the log is bad.
 * @throws {VouchsafeError} `ledger.checkpoint`, `input.malformed` when `kept` itself is not this log's.
 */
export async function checkLedger(
  lines: Iterable<string> | AsyncIterable<string>,
  {
    logKey,
    kept,
    crypto,
  }: { readonly logKey: LogKey; readonly kept?: string | undefined; readonly crypto: CryptoPort },
): Promise<LedgerCheck> {
  const anchor = kept === undefined ? undefined : await verifyCheckpoint(kept, logKey, crypto)
  const run = new Run(logKey, anchor, crypto)
  const iterator = Symbol.asyncIterator in lines ? lines[Symbol.asyncIterator]() : lines[Symbol.iterator]()
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    const problem = await run.line(next.value)
    if (problem === undefined) continue
    if (problem.problem !== 'dropped') return run.failed(problem)
    // dropped or only moved? the rest of the file tells
    for (let rest = await iterator.next(); rest.done !== true; rest = await iterator.next()) {
      if (seqOf(rest.value) === run.entries)
        return run.failed({ problem: 'reordered', why: `it stands behind entry ${problem.found}` })
    }
    return run.failed(problem)
  }
  return run.end()
}

interface Problem {
  readonly problem: LedgerProblem
  readonly why: string
  readonly found?: number
}

class Run {
  readonly #logKey: LogKey
  readonly #anchor: VerifiedCheckpoint | undefined
  readonly #crypto: CryptoPort
  #frontier = EMPTY_FRONTIER
  #tenant = ''
  #time = ''
  #rewritten = false

  constructor(logKey: LogKey, anchor: VerifiedCheckpoint | undefined, crypto: CryptoPort) {
    this.#logKey = logKey
    this.#anchor = anchor
    this.#crypto = crypto
  }

  get entries(): number {
    return this.#frontier.size
  }

  async line(text: string): Promise<Problem | undefined> {
    let line: ExportedEntry
    let entry: Entry
    let claimed: Checkpoint
    try {
      line = parseExportedEntry(text)
      entry = parseEntry(line.entry)
      claimed = parseCheckpoint(line.checkpoint)
    } catch (error) {
      return { problem: 'malformed', why: reasonOf(error) }
    }
    return (
      this.#place(entry, claimed) ??
      (await this.#signed(line.checkpoint)) ??
      this.#content(entry) ??
      this.#append(line.entry, claimed)
    )
  }

  /** Is this the line that belongs here? The signed size decides, and the entry's own number must agree. */
  #place(entry: Entry, claimed: Checkpoint): Problem | undefined {
    const wanted = this.entries
    const found = claimed.size - 1
    if (found === wanted)
      return entry.seq === wanted ? undefined : { problem: 'altered', why: `it calls itself entry ${entry.seq}` }
    if (found > wanted) return { problem: 'dropped', why: `entry ${found} stands in its place`, found }
    return { problem: 'repeated', why: `entry ${found} stands in its place` }
  }

  async #signed(checkpoint: string): Promise<Problem | undefined> {
    try {
      await verifyCheckpoint(checkpoint, this.#logKey, this.#crypto)
      return undefined
    } catch (error) {
      return { problem: 'checkpoint', why: reasonOf(error) }
    }
  }

  #content(entry: Entry): Problem | undefined {
    if (entry.seq === 0) {
      try {
        const { origin } = parseGenesis(entry)
        if (origin !== this.#logKey.name) return { problem: 'genesis', why: `it opens log ${origin}` }
      } catch (error) {
        return { problem: 'genesis', why: reasonOf(error) }
      }
      this.#tenant = entry.tenant
    }
    if (entry.tenant !== this.#tenant)
      return { problem: 'altered', why: `it is of tenant ${JSON.stringify(entry.tenant)}` }
    if (entry.time < this.#time) return { problem: 'order', why: `${entry.time} is before ${this.#time}` }
    this.#time = entry.time
    return undefined
  }

  #append(entry: Uint8Array, claimed: Checkpoint): Problem | undefined {
    const { frontier } = appendLeaf(this.#frontier, leafHash(entry, this.#crypto), this.#crypto)
    if (!sameBytes(rootOf(frontier, this.#crypto), claimed.root))
      return { problem: 'altered', why: 'its hash does not lead to the root that was signed with it' }
    this.#frontier = frontier
    if (this.#anchor?.size === frontier.size && !sameBytes(this.#anchor.root, claimed.root)) this.#rewritten = true
    return undefined
  }

  end(): LedgerCheck {
    const anchor = this.#anchor
    if (this.entries === 0) return this.failed({ problem: 'dropped', why: 'there are no entries at all' })
    if (anchor !== undefined && anchor.size > this.entries)
      return this.failed({ problem: 'truncated', why: `the kept checkpoint is of ${anchor.size} entries` })
    if (this.#rewritten && anchor !== undefined)
      return this.failed({
        problem: 'rewritten',
        why: `its first ${anchor.size} entries are not those of the kept checkpoint`,
      })
    const head = {
      origin: this.#logKey.name,
      size: this.entries,
      root: rootOf(this.#frontier, this.#crypto),
    }
    const statement =
      anchor === undefined
        ? `${this.entries} entries, consistent; truncation not excluded (no kept checkpoint was given)`
        : `${this.entries} entries, consistent; continues the kept checkpoint of ${anchor.size} entries`
    return { ok: true, entries: this.entries, head, continues: anchor?.size ?? null, statement }
  }

  failed({ problem, why }: Problem): LedgerCheck {
    const at = problem === 'rewritten' ? 0 : this.entries
    return {
      ok: false,
      entries: this.entries,
      at,
      problem,
      statement: `entry ${at} is ${problem === 'checkpoint' || problem === 'order' || problem === 'genesis' ? 'wrong' : problem}: ${why}`,
    }
  }
}

function seqOf(line: string): number | undefined {
  try {
    return parseEntry(parseExportedEntry(line).entry).seq
  } catch {
    return undefined // a bad line further down is not what is asked here
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof VouchsafeError) return error.message
  throw error
}
