import type { LockedLog } from './log.ts'
import { type Steps, all, text } from './steps.ts'

/** Ends live leases: one, all of a machine, or all whose decision carries a mark. @returns The ids of those it ended. */
export function* endLeases(
  log: LockedLog,
  which:
    | { readonly kind: 'lease'; readonly id: string }
    | { readonly kind: 'enrolment'; readonly id: string }
    | { readonly kind: 'agreement'; readonly digest: string }
    | { readonly kind: 'mark'; readonly mark: string },
  why: string,
): Steps<readonly string[]> {
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
  const rows = yield* all(`${end} and ${condition} returning id`, now, why, log.tenant, now, ...values)
  return rows.map((row) => text(row, 'id')).sort()
}
