import { type Agreement, parseAgreement } from './agreement/agreement.ts'
import { openNamedSets } from './agreement/reference/named-set.ts'
import { type Statement, verifyStatement } from './agreement/statement.ts'
import { appraiseEvidence } from './appraisal/appraise-evidence.ts'
import type { Appraisal } from './appraisal/finding.ts'
import type { CryptoPort } from './base/crypto.ts'
import { fromBase64 } from './base/encoding.ts'
import { VouchsafeError } from './base/errors.ts'
import { jwkThumbprint } from './base/keys.ts'
import { claimsOf } from './claims/from-evidence.ts'
import { verifyAnyEvidence } from './evidence/verify-any.ts'
import { decide } from './policy/decide.ts'
import { type Decision, type Stage, reason, reasonsAgainst } from './policy/decision.ts'
import { type ShadowFinding, consultShadows } from './policy/shadow.ts'
import type { AttestationResult } from './token/attestation-result.ts'
import { verifyPresentation } from './token/presentation.ts'
import type { TokenPayload } from './token/verify.ts'
import type { AttestInputs, ReleaseInputs, Verdict } from './wire/decision-record.ts'

/*
 * The line:   evidence -> claims -> appraisal -> token -> policy -> release
 *
 * Attesting walks the first half and ends in a token's content; releasing begins with that token and ends in a
 * decision. Both are functions of their inputs alone (no clock, no store, nothing random), so a recorded decision
 * can be walked again by anyone. Sealing, the last step, is an effect and lives in `release/seal.ts`.
 */

/**
 * The first half: is this evidence authentic, what does it say, and is that acceptable?
 *
 * @param valuesAt - When values of reference sets must hold. Left out: when the evidence was shown.
 */
export async function attest(
  input: AttestInputs,
  crypto: CryptoPort,
  valuesAt: Date = new Date(input.at),
): Promise<Walk> {
  return walk<AttestationResult>(async (enter) => {
    enter('evidence')
    const evidence = await verifyAnyEvidence(input, crypto)
    enter('claims')
    const claims = claimsOf(evidence)
    enter('appraisal')
    const agreement = parseAgreement(agreementBytes(input), crypto)
    const named = agreement.body.environment.references ?? []
    const sets = await openNamedSets(named, input.references ?? [], valuesAt, crypto)
    const reference = { agreement, sets, distrust: input.distrust, counters: input.enrolment }
    const appraisal = appraiseEvidence(evidence, claims, reference, new Date(input.at), crypto)
    enter('token')
    const result = { claims, appraisal, sets }
    return { result, decision: accept(result) }
  })
}

/** The second half: does the caller hold the token of an accepted attestation, and may it have these resources now? */
export async function release(input: ReleaseInputs, crypto: CryptoPort): Promise<Walk> {
  return walk<AttestationResult>(async (enter) => {
    enter('token')
    const token = await verifyPresentation(input.presentation, crypto)
    const attested = input.attest
    if (attested === null || token.jti !== input.attestation)
      throw new VouchsafeError('token.malformed', `token ${token.jti} stands for no attestation that is kept here`)
    assertSameKeys(token, attested, crypto)
    const walked = await attest(attested, crypto, new Date(input.at)) // computed again from raw evidence, never read from the token
    const { result } = walked
    if (result === null || walked.decision.kind === 'deny') return walked
    enter('policy')
    const agreement = parseAgreement(agreementBytes(attested), crypto)
    const statements = await verifiedStatements(input, agreement.body.owners, crypto)
    const standing = {
      owner: input.owner.id,
      ownerKeys: input.owner.keys,
      approvals: statements.filter((s) => s.says === 'approve'),
      withdrawals: statements.filter((s) => s.says === 'withdraw'),
      supersededBy: input.supersededBy,
    }
    const at = new Date(input.at)
    const decideUnder = (under: Agreement) =>
      decide(result, under, standing, { resources: input.resources, lease: input.lease }, at)
    const decision = decideUnder(agreement)
    // trials are asked after the decision was taken, and have no way back into it (F17)
    const shadows = consultShadows(input.shadows ?? [], agreement, input.owner.id, decision, decideUnder, at)
    return { result, decision, shadows }
  })
}

/** The token and the attestation that it names must speak of the same guest, session and keys. */
function assertSameKeys(token: TokenPayload, attested: AttestInputs, crypto: CryptoPort): void {
  const same =
    token.cnf.jkt === jwkThumbprint(attested.proofKey, crypto) &&
    token['vouchsafe.seal-key'] === jwkThumbprint(attested.sealKey, crypto) &&
    token['vouchsafe.session'] === attested.session &&
    token.eat_nonce === attested.nonce
  if (!same) throw new VouchsafeError('token.proof', `token ${token.jti} is bound to other keys than its attestation`)
}

/** Where a walk along the line ended. `result` is null when it ended before there was one. */
export interface WalkOf<Result> {
  readonly result: Result | null
  readonly decision: Decision
  /** What policies on trial would have decided; it changes nothing. */
  readonly shadows?: readonly ShadowFinding[]
}
export type Walk = WalkOf<AttestationResult>

/** A refusal thrown by a stage becomes a decision of that stage; a bug stays an exception and never becomes a yes (K04). */
export async function walk<Result>(
  steps: (enter: (stage: Stage) => void) => Promise<WalkOf<Result>>,
): Promise<WalkOf<Result>> {
  let stage: Stage = 'evidence'
  try {
    return await steps((entered) => (stage = entered))
  } catch (refusal) {
    if (!(refusal instanceof VouchsafeError) || refusal.code === 'internal') throw refusal
    return {
      result: null,
      decision: { kind: 'deny', reasons: [reason(stage, refusal.code, 'a passed check', refusal.message)] },
    }
  }
}

/** Evidence that is acceptable throughout is accepted; anything less is denied with every finding that stood against it. */
function accept({ appraisal }: AttestationResult): Decision {
  const [first, ...rest] = reasonsAgainst(appraisal)
  return first === undefined ? { kind: 'accept' } : { kind: 'deny', reasons: [first, ...rest] }
}

/** Statements by keys of the agreement's owners; whatever else lies in the store says nothing here. */
async function verifiedStatements(
  input: ReleaseInputs,
  owners: readonly { readonly id: string; readonly keys: readonly string[] }[],
  crypto: CryptoPort,
): Promise<readonly Statement[]> {
  const keysOf = (owner: string) => owners.find((o) => o.id === owner)?.keys ?? []
  return Promise.all(input.statements.map((envelope) => verifyStatement(envelope, keysOf, crypto)))
}

function agreementBytes(input: AttestInputs): Uint8Array {
  if (input.agreement === null)
    throw new VouchsafeError(
      'agreement.unknown',
      `agreement ${input.agreementDigest} is not known to tenant ${input.tenant}`,
    )
  return fromBase64(input.agreement, 'agreement')
}

/** The verdict as it is recorded: decision and every finding, in one plain value. */
export function toVerdict({ result, decision, shadows = [] }: WalkOf<{ readonly appraisal: Appraisal }>): Verdict {
  return {
    kind: decision.kind,
    grants: decision.kind === 'release' ? [...decision.grants] : [],
    missingApprovals: decision.kind === 'wait' ? [...decision.missingApprovals] : [],
    reasons: decision.kind === 'wait' || decision.kind === 'deny' ? decision.reasons.map((r) => ({ ...r })) : [],
    findings: result?.appraisal.findings.map((f) => ({ ...f })) ?? [],
    conditions: decision.kind === 'accept' ? [] : (decision.conditions ?? []).map((c) => ({ ...c })),
    ...(shadows.length === 0 ? {} : { shadows: shadows.map((s) => ({ ...s, reasons: [...s.reasons] })) }),
  }
}
