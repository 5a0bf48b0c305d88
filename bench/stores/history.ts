import { appendLeaf, encodeEntry, formatCheckpoint, leafHash, rootOf } from '@vouchsafe/core'
import type { Frontier } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Value } from '../../packages/broker/src/store/steps.ts'
import type { LogSigner } from '../../packages/broker/src/store/store.ts'
import { AGREEMENT, digest } from '../../packages/broker/src/store/testing/tenancy.ts'

/** How much a store holds before it is measured. */
export interface Size {
  readonly resources: number
  readonly entries: number
}

export interface NamedSize extends Size {
  readonly name: string
}

/** Between which nothing may grow but the files. */
export const SIZES: readonly NamedSize[] = [
  { name: '10 resources, 100 entries', resources: 10, entries: 100 },
  { name: '1,000 resources, 10,000 entries', resources: 1_000, entries: 10_000 },
  { name: '100,000 resources, 1,000,000 entries', resources: 100_000, entries: 1_000_000 },
]

/** Flat, within the noise of this kind of machine (decision 27). */
export const FLAT = 1.2

export interface TableRow {
  readonly table: string
  readonly row: Readonly<Record<string, Value>>
}

/** The log's head as a row of `log_heads`, after the history. */
export interface HistoryEnd {
  readonly frontier: Uint8Array
  readonly size: number
  readonly checkpoint: string
}

const START = Date.UTC(2026, 0, 1)
const FAR = Date.UTC(2100, 0, 1)
const THUMBPRINT = 'x'.repeat(43)
/** A record of this size is a small one; a real one, with evidence, has some 20 KB. */
const RECORD = new Uint8Array(1024).fill(0x20)

/**
 * The rows of a tenant that has lived: resources, then one entry after another with real leaves and nodes. One entry in
 * ten is a release with its decision, marks, nonce and lease. Only the last checkpoint is signed: nothing that is
 * measured reads the others.
 */
export function* history(
  tenant: string,
  size: Size,
  from: { readonly frontier: Frontier; readonly origin: string },
  signer: LogSigner,
): Generator<TableRow, HistoryEnd> {
  for (let n = 0; n < size.resources; n++) yield* resourceRows(tenant, n)
  let { frontier } = from
  const unsigned = formatCheckpoint({ origin: from.origin, size: 1, root: new Uint8Array(32) }, signer)
  const bound = digest('record')
  for (let seq = frontier.size; seq < size.entries; seq++) {
    const isRelease = seq % 10 === 0
    const subject = isRelease ? `decision-${seq}` : `request-${seq}`
    const kind = isRelease ? 'decision' : 'record.read'
    const time = new Date(START + seq).toISOString()
    const entry = encodeEntry({ seq, tenant, time, kind, subject, digest: bound, facts: { outcome: 'release' } })
    const appended = appendLeaf(frontier, leafHash(entry, nodeCrypto), nodeCrypto)
    frontier = appended.frontier
    const nodes = Buffer.concat(appended.completed)
    yield { table: 'log_entries', row: { tenant, seq, subject, entry, nodes, checkpoint: unsigned } }
    if (isRelease) yield* releaseRows(tenant, seq, subject, bound)
  }
  const root = rootOf(frontier, nodeCrypto)
  return {
    frontier: Buffer.concat(frontier.roots),
    size: frontier.size,
    checkpoint: formatCheckpoint({ origin: from.origin, size: frontier.size, root }, signer),
  }
}

function* resourceRows(tenant: string, n: number): Generator<TableRow> {
  const path = `data/set-${n}`
  const ciphertext = nodeCrypto.digest('sha256', Buffer.from(path))
  const sealed = { key_id: 'resource-1', nonce: new Uint8Array(12), ciphertext, metadata: Buffer.from('{}') }
  yield { table: 'resources', row: { tenant, path, version: 1, owner: 'clinic', ...sealed, put_at: START } }
  yield { table: 'resource_heads', row: { tenant, path, version: 1, removed: 0 } }
}

function* releaseRows(tenant: string, seq: number, id: string, bound: string): Generator<TableRow> {
  const nonce = nodeCrypto.digest('sha256', Buffer.from(id))
  const lease = `lease-${seq}`
  yield { table: 'consumed_nonces', row: { tenant, id: nonce, expires_at: START + seq } }
  yield {
    table: 'decisions',
    row: {
      tenant,
      id,
      seq,
      outcome: 'release',
      code: 'ok',
      digest: bound,
      decided_at: START + seq,
      lease,
      proof_key: THUMBPRINT,
      request: `request-${seq}`,
      record: RECORD,
    },
  }
  for (const mark of [`enrolment:machine-${seq % 100}`, 'image:sha256:aa', `agreement:${AGREEMENT}`])
    yield { table: 'decision_marks', row: { tenant, mark, seq, decision: id } }
  yield {
    table: 'leases',
    row: {
      tenant,
      id: lease,
      decision: id,
      decision_seq: seq,
      enrolment: `machine-${seq % 100}`,
      agreement: AGREEMENT,
      began_at: START + seq,
      expires_at: seq % 1000 === 0 ? FAR : START + seq,
      renewals: 0,
      ended_at: null,
      ended_why: null,
    },
  }
}
