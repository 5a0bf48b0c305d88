import { randomBytes } from 'node:crypto'
import {
  type Claims,
  type DecisionRecord,
  type Digest,
  type Verdict,
  type Walk,
  digestOf,
  toBase64Url,
  toVerdict,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Outcome } from '../store/rows.ts'
import type { TenantContext } from './context.ts'

export const CODE_VERSION = 'vouchsafe 0.1.0'

/** A decision ready to be stored: the signed envelope's exact bytes, and the digest that the ledger binds. */
export interface PreparedDecision {
  readonly id: string
  readonly verdict: Verdict
  readonly envelope: Uint8Array
  /** Of the record's exact bytes, inside the envelope. */
  readonly digest: Digest
  readonly outcome: Outcome
  readonly code: string
}

/** A name for a decision that nobody can guess or choose. */
export function newDecisionId(): string {
  return `d-${toBase64Url(randomBytes(16))}`
}

/** Writes and signs the record of one decision (decision 18). */
export function prepareDecision(
  id: string,
  context: TenantContext,
  walk: Parameters<typeof toVerdict>[0],
  of:
    | Pick<Extract<DecisionRecord, { operation: 'attest' }>, 'operation' | 'inputs'>
    | Pick<Extract<DecisionRecord, { operation: 'release' | 'renew' }>, 'operation' | 'inputs'>
    | Pick<Extract<DecisionRecord, { operation: 'distribute' }>, 'operation' | 'inputs'>,
): PreparedDecision {
  const verdict = toVerdict(walk)
  const record = {
    vouchsafe: 'decision/v1',
    id,
    profile: context.profile,
    codeVersion: CODE_VERSION,
    verdict,
    ...of,
  } as DecisionRecord
  const bytes = utf8(JSON.stringify(record))
  const envelope = utf8(JSON.stringify(context.signRecord(bytes)))
  return {
    id,
    verdict,
    envelope,
    digest: digestOf(bytes, nodeCrypto),
    outcome: verdict.kind,
    code: verdict.reasons[0]?.code ?? 'ok',
  }
}

/** What a decision is found by later: everything that may come to be distrusted. */
export function marksOf({ result }: Walk, machine: string, agreement: string): readonly string[] {
  const marks = [`machine:${machine}`, `agreement:${agreement}`]
  if (result === null) return marks
  const { claims } = result
  marks.push(`image:${claims.launch.image}`, ...claims.anchors.map((anchor) => `anchor:${anchor}`))
  for (const [n, value] of Object.entries(claims.boot.registers)) if (value !== '') marks.push(`register:${n}:${value}`)
  return [...marks, ...platformMarks(claims.platform)]
}

/** A TPM says nothing of the CPU beside it, so no rule about CPUs reaches it. */
function platformMarks({ vendor, chip, family, measurement, advisories }: Claims['platform']): readonly string[] {
  if (vendor === 'none') return []
  return [
    'platform:any',
    `chip:${chip}`,
    `family:${family}`,
    `measurement:${measurement}`,
    ...advisories.map((advisory) => `advisory:${advisory}`),
  ]
}
