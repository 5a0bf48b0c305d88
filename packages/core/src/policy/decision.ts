import type { Appraisal, Finding } from '../appraisal/finding.ts'
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

/** What became of one rule of a grant's conditions: plain, Rego or CEL. Told also when it held. */
export interface ConditionFinding {
  readonly grant: string
  readonly form: 'plain' | 'rego' | 'cel'
  /** The plain condition, the rule's path, or the term of the expression. */
  readonly rule: string
  readonly held: boolean
  readonly expected: string
  readonly actual: string
}

export type Decision =
  | { readonly kind: 'accept' } // evidence accepted, nothing asked for yet
  | {
      readonly kind: 'release'
      readonly grants: readonly [string, ...string[]]
      readonly conditions?: readonly ConditionFinding[]
      /** When the first of the reference values ends that its grants asked for. Left out where they asked for none. */
      readonly until?: string
    }
  | {
      readonly kind: 'wait'
      readonly missingApprovals: readonly [string, ...string[]]
      readonly reasons: readonly [Reason, ...Reason[]]
      readonly conditions?: readonly ConditionFinding[]
    }
  | {
      readonly kind: 'deny'
      readonly reasons: readonly [Reason, ...Reason[]] // never a bare no
      readonly conditions?: readonly ConditionFinding[]
    }

export function reason(stage: Stage, code: ErrorCode, expected: string, actual: string): Reason {
  return {
    stage,
    code,
    expected,
    actual,
    advice: ADVICE[code] ?? 'Show this decision’s id to the owner, who can see the full record with `vouchsafe why`.',
  }
}

/** The first of some moments; undefined when there is none. */
export function earliest(ends: readonly string[]): string | undefined {
  return [...ends].sort((a, b) => Date.parse(a) - Date.parse(b))[0]
}

/**
 * Every finding that stands against evidence, as a ground to deny; empty only when the checks affirmed it.
 *
 * @param isExempt - Of a finding that an owner said, by name, to let pass.
 */
export function reasonsAgainst(
  { tier, findings }: Appraisal,
  isExempt: (finding: Finding) => boolean = () => false,
): readonly Reason[] {
  const against = findings.filter((f) => f.tier !== 'affirming' && !isExempt(f))
  if (against.length > 0) return against.map((f) => reason('appraisal', f.check, f.expected, f.actual))
  const affirmed = tier === 'affirming' || (findings.some(isExempt) && findings.some((f) => f.tier === 'affirming'))
  // no finding is no good news
  return affirmed ? [] : [reason('appraisal', 'appraisal.class', 'an affirming appraisal', `tier ${tier}`)]
}
