import type { NodeRef, Proof, ProofPlan, Receipt } from '@vouchsafe/core'
import {
  VouchsafeError,
  assembleProof,
  frontierNodes,
  lastLeafOf,
  planConsistency,
  planInclusion,
  rootOf,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { readHead } from './log.ts'
import { type Row, type Steps, all, bytes, integer, one, text } from './steps.ts'
import type { StoredEntry } from './store.ts'

export function* readEntries(tenant: string, from: number, limit: number): Steps<readonly StoredEntry[]> {
  const rows = yield* all(
    'select seq, entry, checkpoint from log_entries where tenant = ? and seq >= ? order by seq limit ?',
    tenant,
    from,
    limit,
  )
  return rows.map(toEntry)
}

export function* readEntriesAbout(tenant: string, subject: string): Steps<readonly StoredEntry[]> {
  const rows = yield* all(
    'select seq, entry, checkpoint from log_entries where tenant = ? and subject = ? order by seq desc limit 1000',
    tenant,
    subject,
  )
  return rows.map(toEntry)
}

export function* proveInclusion(tenant: string, seq: number, size: number): Steps<Proof> {
  yield* assertReached(tenant, size)
  return yield* prove(tenant, planInclusion(seq, size))
}

export function* proveConsistency(tenant: string, earlier: number, later: number): Steps<Proof> {
  yield* assertReached(tenant, later)
  return yield* prove(tenant, planConsistency(earlier, later))
}

export function* readReceipt(tenant: string, seq: number): Steps<Receipt> {
  const { size, checkpoint } = yield* readHead(tenant)
  const proof = yield* prove(tenant, planInclusion(seq, size))
  const row = yield* one('select seq, entry, checkpoint from log_entries where tenant = ? and seq = ?', tenant, seq)
  if (row === null) throw new VouchsafeError('ledger.broken', `entry ${seq} of ${tenant}’s log is gone`)
  return { entry: toEntry(row).entry, proof, checkpoint }
}

/** The root of an earlier state, from the stored nodes. */
export function* rootAt(tenant: string, size: number): Steps<Uint8Array> {
  const nodes = frontierNodes(size)
  const found = yield* fetchNodes(tenant, nodes)
  return rootOf({ size, roots: nodes.map(found) }, nodeCrypto)
}

function* assertReached(tenant: string, size: number): Steps<void> {
  const head = yield* readHead(tenant)
  if (size > head.size) throw new VouchsafeError('ledger.range', `the log has ${head.size} entries, not yet ${size}`)
}

function* prove(tenant: string, plan: ProofPlan): Steps<Proof> {
  return assembleProof(plan, yield* fetchNodes(tenant, plan.flat()), nodeCrypto)
}

/** Finds each node beside the entry that completed it: one query, and 32 bytes a node, however large the log. */
function* fetchNodes(tenant: string, nodes: readonly NodeRef[]): Steps<(node: NodeRef) => Uint8Array> {
  const found = new Map<string, Uint8Array>()
  if (nodes.length > 0) {
    const places = nodes.map(() => '(cast(? as bigint), cast(? as integer))').join(', ')
    const rows = yield* all(
      `with wanted (seq, level) as (values ${places})
       select w.seq, w.level, substr(l.nodes, w.level * 32 + 1, 32) as hash
       from wanted w join log_entries l on l.tenant = ? and l.seq = w.seq`,
      ...nodes.flatMap((node) => [lastLeafOf(node), node.level]),
      tenant,
    )
    for (const row of rows) found.set(placeOf(integer(row, 'seq'), integer(row, 'level')), bytes(row, 'hash'))
  }
  return (node) => {
    const hash = found.get(placeOf(lastLeafOf(node), node.level))
    if (hash?.length !== 32)
      throw new VouchsafeError('ledger.broken', `node ${node.level}/${node.index} of ${tenant}’s log is gone`)
    return hash
  }
}

function placeOf(seq: number, level: number): string {
  return `${seq}/${level}`
}

function toEntry(row: Row): StoredEntry {
  return { seq: integer(row, 'seq'), entry: bytes(row, 'entry'), checkpoint: text(row, 'checkpoint') }
}
