import { z } from 'zod'
import { TCB_STATUSES, type TcbStatus } from '../evidence/dcap/tcb-status.ts'
import { must } from './check.ts'
import type { Finding } from './finding.ts'

/** Revoked is not among them: no owner can accept it. */
const TOLERABLE = TCB_STATUSES.filter((status) => status !== 'Revoked' && status !== 'UpToDate')

/**
 * What an owner accepts of Intel's judgement of a platform: up to date and free of advisories, but for exceptions, each
 * named, dated and reasoned (D14).
 */
export const intelTcbReferenceSchema = z.strictObject({
  /** Collateral of an earlier round of judging is refused. */
  minimumEvaluationNumber: z.number().int().min(0).default(0),
  exceptions: z
    .array(
      z.strictObject({
        status: z.enum(TOLERABLE as [TcbStatus, ...TcbStatus[]]),
        /** The exception covers platforms whose advisories are all on this list. */
        advisories: z.array(z.string().min(1).max(64)).max(256),
        until: z.iso.datetime(),
        reason: z.string().min(1).max(1000),
      }),
    )
    .max(64)
    .default([]),
})
export type IntelTcbReference = z.infer<typeof intelTcbReferenceSchema>

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
