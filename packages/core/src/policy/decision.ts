import type { ErrorCode } from '../base/errors.ts'
import { ADVICE } from './advice.ts'

/** Where on the line a decision was reached. */
export type Stage = 'evidence' | 'claims' | 'appraisal' | 'token' | 'policy' | 'release'

/** One ground of a decision: what was wanted, what was found, and what an honest operator would do. */
export interface Reason {
  readonly stage: Stage
  readonly code: ErrorCode
  readonly expected: string
  readonly actual: string
  readonly advice: string
}

export type Decision =
  | { readonly kind: 'accept' } // evidence accepted, nothing asked for yet
  | { readonly kind: 'release'; readonly grants: readonly [string, ...string[]] }
  | {
      readonly kind: 'wait'
      readonly missingApprovals: readonly [string, ...string[]]
      readonly reasons: readonly [Reason, ...Reason[]]
    }
  | { readonly kind: 'deny'; readonly reasons: readonly [Reason, ...Reason[]] } // never a bare no

export function reason(stage: Stage, code: ErrorCode, expected: string, actual: string): Reason {
  return {
    stage,
    code,
    expected,
    actual,
    advice: ADVICE[code] ?? 'Show this decision’s id to the owner, who can see the full record with `vouchsafe why`.',
  }
}
