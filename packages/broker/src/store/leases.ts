import type { LockedLog } from './log.ts'
import { type Row, type Statement, type Steps, all, statement, text } from './steps.ts'

export type LeaseSet =
  | { readonly kind: 'lease'; readonly id: string }
  | { readonly kind: 'enrolment'; readonly id: string }
  | { readonly kind: 'agreement'; readonly digest: string }
  | { readonly kind: 'mark'; readonly mark: string }

/** Ends live leases: one, all of a machine, or all whose decision carries a mark. */
export function endLeasesStatement(log: LockedLog, which: LeaseSet, why: string): Statement {
  const now = log.now.getTime()
  const end = 'update leases set ended_at = ?, ended_why = ? where tenant = ? and ended_at is null and expires_at > ?'
  const [condition, ...values] = ((): readonly [string, ...string[]] => {
    switch (which.kind) {
      case 'lease':
        return ['id = ?', which.id]
      case 'enrolment':
        return ['enrolment = ?', which.id]
      case 'agreement':
        return ['agreement = ?', which.digest]
      case 'mark':
        return [
          'decision_seq in (select seq from decision_marks where tenant = ? and mark = ?)',
          log.tenant,
          which.mark,
        ]
    }
  })()
  return statement(`${end} and ${condition} returning id`, now, why, log.tenant, now, ...values)
}

export function leaseIds(rows: readonly Row[]): readonly string[] {
  return rows.map((row) => text(row, 'id')).sort()
}

/** @returns The ids of those it ended. */
export function* endLeases(log: LockedLog, which: LeaseSet, why: string): Steps<readonly string[]> {
  const { sql, values } = endLeasesStatement(log, which, why)
  return leaseIds(yield* all(sql, ...values))
}
