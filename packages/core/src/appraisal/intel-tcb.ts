import type { IntelTcbReference } from '../agreement/reference/intel-tcb-reference.ts'
import type { TcbStatus } from '../evidence/dcap/tcb-status.ts'
import { must } from './check.ts'
import type { Finding } from './finding.ts'

interface Rating {
  readonly status: TcbStatus
  readonly advisories: readonly string[]
  readonly evaluationNumber: number
}

/** Three findings: status, advisories, and how recent the judgement is. */
export function appraiseIntelTcb(
  rating: Rating | 'not-checked',
  reference: IntelTcbReference,
  at: Date,
): readonly Finding[] {
  if (rating === 'not-checked')
    return [must('appraisal.tcb', 'hardware', false, 'a TCB rated by Intel’s collateral', 'collateral was not checked')]
  const { status, advisories, evaluationNumber } = rating
  const exception = reference.exceptions.find(
    (e) => e.status === status && at < new Date(e.until) && advisories.every((id) => e.advisories.includes(id)),
  )
  const excepted =
    exception === undefined ? '' : `, or ${exception.status} until ${exception.until}: ${exception.reason}`
  const least = reference.minimumEvaluationNumber
  return [
    must('appraisal.tcb', 'hardware', status === 'UpToDate' || exception !== undefined, `UpToDate${excepted}`, status),
    must(
      'appraisal.advisory',
      'hardware',
      advisories.length === 0 || exception !== undefined,
      exception === undefined ? 'no advisory' : `no advisory but ${exception.advisories.join(', ')}`,
      advisories.length === 0 ? 'no advisory' : advisories.join(', '),
    ),
    must(
      'appraisal.tcb',
      'hardware',
      evaluationNumber >= least,
      `TCB evaluation ${least} or later`,
      `TCB evaluation ${evaluationNumber}`,
    ),
  ]
}
