import type { Digest } from '@vouchsafe/core'
import type { DecisionSummary, Lease, Outcome, StoredDecision } from './rows.ts'
import { type Row, type Steps, all, bytes, instant, integer, one, optional, text } from './steps.ts'
import type { RequestRef } from './store.ts'

const SUMMARY = 'd.id, d.seq, d.outcome, d.code, d.digest, d.decided_at, d.lease'

export function* readDecision(tenant: string, id: string): Steps<StoredDecision | null> {
  const row = yield* one(`select ${SUMMARY}, d.record from decisions d where d.tenant = ? and d.id = ?`, tenant, id)
  return row === null ? null : { ...toSummary(row), record: bytes(row, 'record') }
}

export function* readDecisionOf(tenant: string, { id, proofKey }: RequestRef): Steps<StoredDecision | null> {
  const sql = `select ${SUMMARY}, d.record from decisions d where d.tenant = ? and d.proof_key = ? and d.request = ?`
  const row = yield* one(sql, tenant, proofKey, id)
  return row === null ? null : { ...toSummary(row), record: bytes(row, 'record') }
}

export function* readDecisions(
  tenant: string,
  { mark, beforeSeq = Number.MAX_SAFE_INTEGER, limit }: { mark?: string; beforeSeq?: number; limit: number },
): Steps<readonly DecisionSummary[]> {
  const rows =
    mark === undefined
      ? yield* all(
          `select ${SUMMARY} from decisions d where d.tenant = ? and d.seq < ? order by d.seq desc limit ?`,
          tenant,
          beforeSeq,
          limit,
        )
      : yield* all(
          `select ${SUMMARY} from decision_marks m join decisions d on d.tenant = m.tenant and d.seq = m.seq
           where m.tenant = ? and m.mark = ? and m.seq < ? order by m.seq desc limit ?`,
          tenant,
          mark,
          beforeSeq,
          limit,
        )
  return rows.map(toSummary)
}

function toSummary(row: Row): DecisionSummary {
  return {
    id: text(row, 'id'),
    seq: integer(row, 'seq'),
    outcome: text(row, 'outcome') as Outcome,
    code: text(row, 'code'),
    digest: text(row, 'digest') as Digest,
    decidedAt: instant(row, 'decided_at'),
    leaseId: optional(row, 'lease', text),
  }
}

export function* readLease(tenant: string, id: string): Steps<Lease | null> {
  const row = yield* one('select * from leases where tenant = ? and id = ?', tenant, id)
  return row === null ? null : toLease(row)
}

export function* readLiveLeases(tenant: string, at: Date, mark?: string): Steps<readonly Lease[]> {
  const live = 'l.tenant = ? and l.ended_at is null and l.expires_at > ?'
  const rows =
    mark === undefined
      ? yield* all(`select l.* from leases l where ${live} order by l.decision_seq`, tenant, at.getTime())
      : yield* all(
          `select l.* from leases l join decision_marks m on m.tenant = l.tenant and m.seq = l.decision_seq
           where ${live} and m.mark = ? order by l.decision_seq`,
          tenant,
          at.getTime(),
          mark,
        )
  return rows.map(toLease)
}

function toLease(row: Row): Lease {
  return {
    id: text(row, 'id'),
    decision: text(row, 'decision'),
    enrolment: text(row, 'enrolment'),
    agreement: text(row, 'agreement') as Digest,
    beganAt: instant(row, 'began_at'),
    expiresAt: instant(row, 'expires_at'),
    renewals: integer(row, 'renewals'),
    endedAt: optional(row, 'ended_at', instant),
    endedWhy: optional(row, 'ended_why', text),
  }
}
