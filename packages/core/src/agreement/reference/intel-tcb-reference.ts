import { z } from 'zod'
import { TCB_STATUSES, type TcbStatus } from '../../evidence/dcap/tcb-status.ts'

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
