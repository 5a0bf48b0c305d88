import { VouchsafeError } from '@vouchsafe/core'
import { type HeadMemory, type LockedLog, type LoggedEntry, appendEntry, lockLog } from './log.ts'
import { endLeases } from './leases.ts'
import { consumeNonce } from './nonces.ts'
import { readDecision } from './read-decisions.ts'
import { type Steps, change, integer, one, text } from './steps.ts'
import type { StoredDecision } from './rows.ts'
import type { Decide, Expectation } from './store.ts'

export type DecideSteps =
  | { readonly kind: 'recorded'; readonly logged: LoggedEntry; readonly endedLeases: readonly string[] }
  | { readonly kind: 'repeated'; readonly decision: StoredDecision }

/**
 * The release transaction of decision 15, in its order. Whatever throws, the runner rolls all of it back: no nonce is
 * gone, no entry is there. Checking evidence and sealing happened before; the answer leaves after the commit.
 */
export function* decideSteps(wanted: Decide, clock: Date, memory: HeadMemory): Steps<DecideSteps> {
  assertComplete(wanted)
  const log = yield* lockLog(wanted.tenant, clock, wanted.signer, memory)
  const repeated = yield* findRepeated(wanted)
  if (repeated !== null) return { kind: 'repeated', decision: repeated }
  if (wanted.expect !== null) yield* recheck(log, wanted.expect)
  for (const nonce of wanted.consume) yield* consumeNonce(log, nonce)
  yield* insertDecision(log, wanted)
  const endedLeases = yield* applyLease(log, wanted)
  const { id, digest, outcome, code, facts } = wanted.decision
  const kind = wanted.lease.kind === 'renew' ? 'lease.renewed' : 'decision'
  const content = { kind, subject: id, digest, facts: { ...facts, outcome, code } } as const
  return { kind: 'recorded', logged: yield* appendEntry(log, content, log.epochs, wanted.signer), endedLeases }
}

/** What types cannot say: a release rests on expectations and uses up at least one nonce. */
function assertComplete({ decision, expect, consume, lease }: Decide): void {
  if (decision.outcome === 'release') {
    if (expect === null) throw new VouchsafeError('internal', 'a release without expectations')
    if (consume.length === 0) throw new VouchsafeError('internal', 'a release that uses up no nonce')
  } else if (lease.kind === 'new' || lease.kind === 'renew') {
    throw new VouchsafeError('internal', `a lease without a release: the outcome is ${decision.outcome}`)
  }
}

function* findRepeated({ tenant, decision: { request } }: Decide): Steps<StoredDecision | null> {
  if (request === null) return null
  const row = yield* one(
    'select id from decisions where tenant = ? and proof_key = ? and request = ?',
    tenant,
    request.proofKey,
    request.id,
  )
  return row === null ? null : yield* readDecision(tenant, text(row, 'id'))
}

/** Reads again what the decision relied on. The log's lock is held, and whoever changes any of it takes that lock. */
function* recheck(log: LockedLog, expect: Expectation): Steps<void> {
  for (const name of ['consent', 'registry', 'reference', 'distrust'] as const) {
    if (log.epochs[name] !== expect.epochs[name]) throw changed(`the ${name} epoch rose`)
  }
  if (log.now >= expect.validUntil) throw changed(`it held until ${expect.validUntil.toISOString()}`)
  const { tenant } = log
  const agreement = yield* one(
    'select digest from agreement_heads where tenant = ? and name = ?',
    tenant,
    expect.agreement.name,
  )
  if (agreement === null || text(agreement, 'digest') !== expect.agreement.digest)
    throw changed(`another version of agreement ${expect.agreement.name} is in force`)
  for (const { path, version } of expect.resources) {
    const head = yield* one('select version, removed from resource_heads where tenant = ? and path = ?', tenant, path)
    if (head === null || integer(head, 'removed') !== 0 || integer(head, 'version') !== version)
      throw changed(`resource ${path} is not at version ${version} any more`)
  }
}

function changed(what: string): VouchsafeError {
  return new VouchsafeError('store.changed', `what the decision relied on has changed: ${what}`)
}

function* insertDecision(log: LockedLog, { decision, lease }: Decide): Steps<void> {
  const seq = log.frontier.size
  const { id, outcome, code, digest, record, request, marks } = decision
  const inserted = yield* change(
    `insert into decisions (tenant, id, seq, outcome, code, digest, decided_at, lease, proof_key, request, record)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (tenant, id) do nothing`,
    log.tenant,
    id,
    seq,
    outcome,
    code,
    digest,
    log.now.getTime(),
    lease.kind === 'none' ? null : lease.id,
    request?.proofKey ?? null,
    request?.id ?? null,
    record,
  )
  if (inserted === 0) throw new VouchsafeError('store.conflict', `decision ${id} is there already`)
  const distinct = [...new Set(marks)]
  if (distinct.length === 0) return
  yield* change(
    `insert into decision_marks (tenant, mark, seq, decision) values ${distinct.map(() => '(?, ?, ?, ?)').join(', ')}`,
    ...distinct.flatMap((mark) => [log.tenant, mark, seq, id]),
  )
}

function* applyLease(log: LockedLog, { lease, decision, expect }: Decide): Steps<readonly string[]> {
  const { tenant } = log
  const now = log.now.getTime()
  switch (lease.kind) {
    case 'none':
      return []
    case 'new': {
      const inserted = yield* change(
        `insert into leases (tenant, id, decision, decision_seq, enrolment, agreement, began_at, expires_at, renewals)
         values (?, ?, ?, ?, ?, ?, ?, ?, 0) on conflict do nothing`,
        tenant,
        lease.id,
        decision.id,
        log.frontier.size,
        lease.enrolment,
        expect?.agreement.digest ?? null,
        now,
        lease.expiresAt.getTime(),
      )
      if (inserted === 0) throw new VouchsafeError('store.conflict', `lease ${lease.id} is there already`)
      return []
    }
    case 'renew': {
      const renewed = yield* change(
        `update leases set expires_at = ?, agreement = ?, renewals = renewals + 1
         where tenant = ? and id = ? and ended_at is null and expires_at > ?`,
        lease.expiresAt.getTime(),
        expect?.agreement.digest ?? null,
        tenant,
        lease.id,
        now,
      )
      if (renewed === 0) throw new VouchsafeError('lease.ended', `lease ${lease.id} is unknown, ended or expired`)
      return []
    }
    case 'end':
      return yield* endLeases(log, { kind: 'lease', id: lease.id }, lease.why)
  }
}
