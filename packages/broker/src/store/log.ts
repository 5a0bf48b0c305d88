import type { EntryContent, Frontier } from '@vouchsafe/core'
import {
  EMPTY_FRONTIER,
  VouchsafeError,
  appendLeaf,
  encodeEntry,
  formatCheckpoint,
  leafHash,
  parseCheckpoint,
  rootOf,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Demand, type Steps, bytes, demand, insist, instant, integer, one, statement, text } from './steps.ts'
import type { Epochs, LedgerHead, LogSigner, StoredEntry } from './store.ts'

/** How far the clocks of two replicas may differ, and an NTP step go back, before it is called a clock set back. */
export const CLOCK_LEEWAY_MS = 2_000

/** A tenant's log under its lock: nobody else appends before this transaction ends. */
export interface LockedLog {
  readonly tenant: string
  readonly origin: string
  readonly frontier: Frontier
  /** False before genesis. */
  readonly begun: boolean
  readonly epochs: Epochs
  /** The time of this transaction: the clock, or the newest entry's where the clock is a little behind it. */
  readonly now: Date
}

/** What a process remembers of the log heads that it saw last, so that a store that goes back is noticed at once. */
export interface HeadMemory {
  /**
   * @returns True when this very head was seen before, so that its signature need not be checked once more.
   * @throws {VouchsafeError} `ledger.regressed` when the head lies behind, or beside, one that was seen before.
   */
  check(tenant: string, head: { readonly size: number; readonly root: Uint8Array }): Steps<boolean>
}

/**
 * Locks a tenant's log head and reads it. Everything that is read afterwards in the transaction holds until it ends.
 *
 * @param time - Asked once the lock is held: while a transaction waits for it, others append, and time goes on.
 * @throws {VouchsafeError} `store.unknown` without such a tenant; `clock.backwards`; `ledger.regressed`; `ledger.broken`
 *   when the head is not one that the log's key signed, for then signing its successor would vouch for a forgery.
 */
export function* lockLog(tenant: string, time: () => Date, signer: LogSigner, memory: HeadMemory): Steps<LockedLog> {
  const row = yield* one(
    `select size, time, frontier, checkpoint, consent_epoch, registry_epoch, reference_epoch, distrust_epoch
     from log_heads where tenant = ? for update`,
    tenant,
  )
  if (row === null) throw new VouchsafeError('store.unknown', `no tenant ${JSON.stringify(tenant)}`)
  const newest = integer(row, 'time')
  const clock = time()
  if (clock.getTime() < newest - CLOCK_LEEWAY_MS)
    throw new VouchsafeError(
      'clock.backwards',
      `the clock says ${clock.toISOString()}, but the newest ledger entry is of ${new Date(newest).toISOString()}`,
    )
  const frontier = decodeFrontier(integer(row, 'size'), bytes(row, 'frontier'))
  const checkpoint = text(row, 'checkpoint')
  const root = rootOf(frontier, nodeCrypto)
  const seen = yield* memory.check(tenant, { size: frontier.size, root })
  if (!seen && !isSigned(checkpoint, { size: frontier.size, root }, signer))
    throw new VouchsafeError('ledger.broken', `the head of ${tenant}’s log is not one that its key signed`)
  return {
    tenant,
    origin: signer.name,
    frontier,
    begun: true,
    epochs: readEpochs(row),
    now: new Date(Math.max(clock.getTime(), newest)),
  }
}

function isSigned(
  checkpoint: string,
  head: { readonly size: number; readonly root: Uint8Array },
  signer: LogSigner,
): boolean {
  const { origin, size, root } = parseCheckpoint(checkpoint)
  const same = origin === signer.name && size === head.size && nodeCrypto.equal(root, head.root)
  return same && signer.recognises(checkpoint)
}

/** A log before its first entry. The tenant's row was inserted in this transaction, so nobody else can see it. */
export function emptyLog(tenant: string, origin: string, now: Date): LockedLog {
  const epochs = { consent: 0, registry: 0, reference: 0, distrust: 0 }
  return { tenant, origin, frontier: EMPTY_FRONTIER, begun: false, epochs, now }
}

/** An appended entry and the head after it. Durable only once the transaction has committed. */
export interface LoggedEntry extends StoredEntry {
  readonly time: Date
  readonly root: Uint8Array
}

/** The next entry, with the statements that store it and move the head: the last ones of a transaction. */
export interface NextEntry {
  readonly logged: LoggedEntry
  readonly demands: readonly Demand[]
}

/** Makes the entry and signs the state that it leads to. Nothing is stored before the demands have gone through. */
export function nextEntry(log: LockedLog, content: EntryContent, epochs: Epochs, signer: LogSigner): NextEntry {
  const { tenant, origin, now } = log
  const seq = log.frontier.size
  const entry = encodeEntry({ ...content, seq, tenant, time: now.toISOString() })
  const { frontier, completed } = appendLeaf(log.frontier, leafHash(entry, nodeCrypto), nodeCrypto)
  const root = rootOf(frontier, nodeCrypto)
  const checkpoint = formatCheckpoint({ origin, size: frontier.size, root }, signer)
  const forked = (): VouchsafeError =>
    new VouchsafeError('internal', `entry ${seq} of ${tenant}’s log is there already`)
  const insert = statement(
    'insert into log_entries (tenant, seq, subject, entry, nodes, checkpoint) values (?, ?, ?, ?, ?, ?)',
    tenant,
    seq,
    content.subject,
    entry,
    join(completed),
    checkpoint,
  )
  const head = [frontier.size, now.getTime(), join(frontier.roots), checkpoint] as const
  const counters = [epochs.consent, epochs.registry, epochs.reference, epochs.distrust] as const
  const move = log.begun
    ? statement(
        `update log_heads set size = ?, time = ?, frontier = ?, checkpoint = ?, consent_epoch = ?, registry_epoch = ?,
         reference_epoch = ?, distrust_epoch = ? where tenant = ? and size = ?`,
        ...head,
        ...counters,
        tenant,
        seq,
      )
    : statement(
        `insert into log_heads (size, time, frontier, checkpoint, consent_epoch, registry_epoch, reference_epoch,
         distrust_epoch, tenant) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...head,
        ...counters,
        tenant,
      )
  return {
    logged: { seq, entry, checkpoint, time: now, root },
    demands: [demand(insert, forked), demand(move, forked)],
  }
}

/** Stores the next entry and moves the head. */
export function* appendEntry(
  log: LockedLog,
  content: EntryContent,
  epochs: Epochs,
  signer: LogSigner,
): Steps<LoggedEntry> {
  const { logged, demands } = nextEntry(log, content, epochs, signer)
  yield* insist(demands)
  return logged
}

/** The newest committed state, without a lock. */
export function* readHead(tenant: string): Steps<LedgerHead> {
  const row = yield* one('select * from log_heads where tenant = ?', tenant)
  if (row === null) throw new VouchsafeError('store.unknown', `no tenant ${JSON.stringify(tenant)}`)
  const frontier = decodeFrontier(integer(row, 'size'), bytes(row, 'frontier'))
  return {
    size: frontier.size,
    root: rootOf(frontier, nodeCrypto),
    time: instant(row, 'time'),
    checkpoint: text(row, 'checkpoint'),
    epochs: readEpochs(row),
  }
}

function readEpochs(row: Parameters<typeof integer>[0]): Epochs {
  return {
    consent: integer(row, 'consent_epoch'),
    registry: integer(row, 'registry_epoch'),
    reference: integer(row, 'reference_epoch'),
    distrust: integer(row, 'distrust_epoch'),
  }
}

function decodeFrontier(size: number, packed: Uint8Array): Frontier {
  const roots = splitHashes(packed)
  let ones = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2
  if (roots.length !== ones)
    throw new VouchsafeError(
      'ledger.broken',
      `the frontier of ${size} entries has ${roots.length} roots, wanted ${ones}`,
    )
  return { size, roots }
}

/** Hashes as they are stored: 32 bytes each, one after another. */
function splitHashes(packed: Uint8Array): readonly Uint8Array[] {
  if (packed.length % 32 !== 0)
    throw new VouchsafeError('ledger.broken', `${packed.length} bytes are no list of hashes`)
  return Array.from({ length: packed.length / 32 }, (_, i) => packed.slice(i * 32, i * 32 + 32))
}

function join(hashes: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(hashes.length * 32)
  hashes.forEach((hash, i) => out.set(hash, i * 32))
  return out
}
