import { VouchsafeError } from '@vouchsafe/core'
import { endLeasesStatement, leaseIds } from './leases.ts'
import { type HeadMemory, type LockedLog, type LoggedEntry, lockLog, nextEntry } from './log.ts'
import { consumeNonce } from './nonces.ts'
import { readDecision } from './read-decisions.ts'
import type { StoredDecision } from './rows.ts'
import { type Demand, type Steps, demand, insist, integer, onlyRow, statement, text, together } from './steps.ts'
import type { Decide, Expectation } from './store.ts'

export type DecideSteps =
  | { readonly kind: 'recorded'; readonly logged: LoggedEntry; readonly endedLeases: readonly string[] }
  | { readonly kind: 'repeated'; readonly decision: StoredDecision }

/**
 * The release transaction of decision 15, in its order. Whatever throws, the runner rolls all of it back: no nonce is
 * gone, no entry is there. Checking evidence and sealing happened before; the answer leaves after the commit.
 */
export function* decideSteps(wanted: Decide, time: () => Date, memory: HeadMemory): Steps<DecideSteps> {
  assertComplete(wanted)
  const { tenant, decision, expect, consume, signer } = wanted
  const log = yield* lockLog(tenant, time, signer, memory)
  const state = yield* readState(tenant, wanted)
  if (state.repeated !== null) {
    const first = yield* readDecision(tenant, state.repeated)
    if (first !== null) return { kind: 'repeated', decision: first }
  }
  if (expect !== null) assertUnchanged(log, expect, state)
  const lease = leaseDemand(log, wanted)
  const { id, digest, outcome, code, facts } = decision
  const kind = wanted.lease.kind === 'renew' ? 'lease.renewed' : 'decision'
  const content = { kind, subject: id, digest, facts: { ...facts, outcome, code } } as const
  const { logged, demands } = nextEntry(log, content, log.epochs, signer)
  const results = yield* insist([
    ...consume.map((nonce) => consumeNonce(log, nonce)),
    ...insertDecision(log, wanted),
    ...(lease === null ? [] : [lease]),
    ...demands,
  ])
  const ended = wanted.lease.kind === 'end' ? results.flatMap(({ rows }) => leaseIds(rows)) : []
  return { kind: 'recorded', logged, endedLeases: ended }
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

/** What is read under the lock. Whoever changes any of it takes that lock, so it holds until the commit. */
interface State {
  /** The decision that this request got before. */
  readonly repeated: string | null
  /** The agreement's version in force. */
  readonly agreement: string | null
  /** By place in `expect.resources`; null for one that is gone. */
  readonly resources: readonly (number | null)[]
}

function* readState(tenant: string, { decision: { request }, expect }: Decide): Steps<State> {
  const repeated = 'select id from decisions where tenant = ? and proof_key = ? and request = ?'
  const agreement = 'select digest from agreement_heads where tenant = ? and name = ?'
  const resource = 'select version from resource_heads where tenant = ? and path = ? and removed = 0'
  const [first, inForce, ...heads] = yield* together([
    statement(repeated, tenant, request?.proofKey ?? null, request?.id ?? null),
    statement(agreement, tenant, expect?.agreement.name ?? null),
    ...(expect?.resources ?? []).map(({ path }) => statement(resource, tenant, path)),
  ])
  const found = onlyRow(first?.rows)
  const current = onlyRow(inForce?.rows)
  return {
    repeated: found === null ? null : text(found, 'id'),
    agreement: current === null ? null : text(current, 'digest'),
    resources: heads.map(({ rows }) => {
      const head = onlyRow(rows)
      return head === null ? null : integer(head, 'version')
    }),
  }
}

/** Holds what the decision relied on against what is there now. */
function assertUnchanged(log: LockedLog, expect: Expectation, state: State): void {
  for (const name of ['consent', 'registry', 'reference', 'distrust'] as const) {
    if (log.epochs[name] !== expect.epochs[name]) throw changed(`the ${name} epoch rose`)
  }
  if (log.now >= expect.validUntil) throw changed(`it held until ${expect.validUntil.toISOString()}`)
  if (state.agreement !== expect.agreement.digest)
    throw changed(`another version of agreement ${expect.agreement.name} is in force`)
  expect.resources.forEach(({ path, version }, i) => {
    if (state.resources[i] !== version) throw changed(`resource ${path} is not at version ${version} any more`)
  })
}

function changed(what: string): VouchsafeError {
  return new VouchsafeError('store.changed', `what the decision relied on has changed: ${what}`)
}

function insertDecision(log: LockedLog, { decision, lease }: Decide): readonly Demand[] {
  const seq = log.frontier.size
  const { id, outcome, code, digest, record, request, marks } = decision
  const insert = statement(
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
  const taken = (): VouchsafeError => new VouchsafeError('store.conflict', `decision ${id} is there already`)
  const distinct = [...new Set(marks)]
  if (distinct.length === 0) return [demand(insert, taken)]
  const places = distinct.map(() => '(?, ?, ?, ?)').join(', ')
  const mark = statement(
    `insert into decision_marks (tenant, mark, seq, decision) values ${places}`,
    ...distinct.flatMap((value) => [log.tenant, value, seq, id]),
  )
  return [demand(insert, taken), demand(mark, taken)]
}

function leaseDemand(log: LockedLog, { lease, decision, expect }: Decide): Demand | null {
  const { tenant } = log
  const now = log.now.getTime()
  switch (lease.kind) {
    case 'none':
      return null
    case 'new': {
      const insert = statement(
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
      return demand(insert, () => new VouchsafeError('store.conflict', `lease ${lease.id} is there already`))
    }
    case 'renew': {
      const renew = statement(
        `update leases set expires_at = ?, agreement = ?, renewals = renewals + 1
         where tenant = ? and id = ? and ended_at is null and expires_at > ?`,
        lease.expiresAt.getTime(),
        expect?.agreement.digest ?? null,
        tenant,
        lease.id,
        now,
      )
      return demand(renew, () => new VouchsafeError('lease.ended', `lease ${lease.id} is unknown, ended or expired`))
    }
    case 'end':
      // a lease that is over already is no reason to leave the refusal unrecorded
      return { statement: endLeasesStatement(log, { kind: 'lease', id: lease.id }, lease.why), refuse: () => undefined }
  }
}
