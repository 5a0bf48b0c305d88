import {
  type AttestInputs,
  type Enrolment as WireEnrolment,
  VouchsafeError,
  attest as walkAttest,
  evidence,
  issueToken,
  jwkThumbprint,
  parseAgreement,
  parseDigest,
  toBase64,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Enrolment } from '../store/rows.ts'
import { anchorsOf, parsedAnchorsOf } from './anchors.ts'
import { carryCheckpoints, growthSince } from './checkpoints.ts'
import type { Services, TenantContext } from './context.ts'
import { distrustRulesOf } from './distrust-rules.ts'
import { readEnrolmentRecord } from './enrol.ts'
import { filedSetsFor } from './references.ts'
import { marksOf, newDecisionId, prepareDecision } from './record.ts'
import { recordingReplays, refusalOf } from './refusal.ts'
import { receiptOf } from './receipts.ts'

/**
 * The request, if its evidence is of a kind that is judged here.
 *
 * @throws {VouchsafeError} `evidence.unsupported`, before anything else is looked at (KB-31, D15)
 */
export function judged(body: z.output<typeof wire.attestRequestOfAnyKind>): z.output<typeof wire.attestRequest> {
  const { evidence: shown } = body
  if (isKnownOnly(shown)) throw evidence.unsupported(shown.format)
  return { ...body, evidence: shown }
}

function isKnownOnly(
  shown: z.output<typeof wire.attestRequestOfAnyKind>['evidence'],
): shown is Extract<typeof shown, { format: evidence.UnsupportedEvidence }> {
  return Object.hasOwn(evidence.UNSUPPORTED_EVIDENCE, shown.format)
}

/**
 * Attestation: walks the first half of the line, records what came of it, and gives a token when the evidence was
 * accepted. The nonce is consumed with the record, also when the answer is no.
 */
export async function attest(
  services: Services,
  context: TenantContext,
  body: z.output<typeof wire.attestRequest>,
): Promise<z.input<typeof wire.attestResponse>> {
  await carryCheckpoints(services, context, body.carried)
  return recordingReplays((replayed) => attestOnce(services, context, body, replayed))
}

async function attestOnce(
  services: Services,
  context: TenantContext,
  body: z.output<typeof wire.attestRequest>,
  replayed: boolean,
): Promise<z.input<typeof wire.attestResponse>> {
  const { store } = services
  const at = services.clock()
  const tenant = context.tenant.id
  const nonce = context.checkNonce(body.nonce, { purpose: 'attest', session: body.session }, at)
  const agreementDigest = parseDigest(body.agreement, 'agreement')
  const enrolment = body.machine === null ? null : await store.enrolment(tenant, body.machine)
  const agreement = await store.agreement(tenant, agreementDigest)
  const inputs: AttestInputs = {
    at: at.toISOString(),
    brokerId: context.brokerId,
    tenant,
    session: body.session,
    nonce: body.nonce,
    nonceState: replayed ? 'used' : nonce.state,
    sealKey: body.sealKey,
    proofKey: body.proofKey,
    evidence: body.evidence,
    enrolment: enrolment === null || enrolment.endedAt !== null ? null : toWire(enrolment),
    ...(await collateralOf(services, tenant, body.evidence)),
    anchors: await anchorsOf(store, tenant),
    agreementDigest,
    agreement: agreement === null ? null : toBase64(agreement.bytes),
    distrust: await distrustRulesOf(store, tenant),
    ...(agreement !== null && (await filedSetsFor(store, tenant, parseAgreement(agreement.bytes, nodeCrypto).body))),
  }
  const walk = await walkAttest(inputs, nodeCrypto)
  const id = newDecisionId()
  const prepared = prepareDecision(id, context, walk, { operation: 'attest', inputs })
  const machine = walk.result?.claims.machine ?? body.machine ?? UNNAMED
  const recorded = await store.decide({
    tenant,
    expect: null,
    consume: nonce.state === 'fresh' && !replayed ? [{ id: nonce.id, expiresAt: nonce.expiresAt }] : [],
    decision: {
      id,
      record: prepared.envelope,
      digest: prepared.digest,
      outcome: prepared.outcome,
      code: prepared.code,
      marks: marksOf(walk, machine, body.agreement),
      facts: { operation: 'attest', machine },
      request: null,
    },
    lease: { kind: 'none' },
    signer: context.logSigner,
  })
  services.log('attest.decided', { tenant, decision: id, outcome: prepared.outcome, code: prepared.code })
  if (recorded.kind !== 'recorded' || walk.result === null || walk.decision.kind !== 'accept')
    throw refusalOf(prepared.code, id)

  const subject = {
    issuer: context.issuer,
    audience: context.audience,
    id,
    nonce: body.nonce,
    session: body.session,
    agreement: agreementDigest,
    proofKey: jwkThumbprint(body.proofKey, nodeCrypto),
    sealKey: jwkThumbprint(body.sealKey, nodeCrypto),
  }
  const token = await issueToken(walk.result, subject, at, context.tokenSigner)
  return {
    id,
    token,
    log: await growthSince(services, context, body.kept),
    receipt: await receiptOf(store, tenant, recorded.seq),
  }
}

/** A CPU that was refused has no name that anybody vouched for. */
const UNNAMED = 'unnamed'

/** What the CPU's vendor says at this moment; recorded, so that the decision can be walked again without a network. */
async function collateralOf(
  services: Services,
  tenant: string,
  shown: AttestInputs['evidence'],
): Promise<Pick<AttestInputs, 'collateral'>> {
  const cpu = shown.format === 'tpm' ? null : cpuIn(shown)
  if (cpu === null) return {}
  const anchors = await parsedAnchorsOf(services.store, tenant)
  return { collateral: (await services.collateral?.(tenant, cpu, anchors)) ?? null }
}

/** What holds no CPU's report that could be read is refused where it is judged, with its place in the record. */
function cpuIn(shown: Exclude<AttestInputs['evidence'], { format: 'tpm' }>): evidence.CpuEvidence | null {
  try {
    return evidence.cpuEvidenceIn(shown)
  } catch (error) {
    if (error instanceof VouchsafeError && error.code !== 'internal') return null
    throw error
  }
}

function toWire(e: Enrolment): WireEnrolment {
  return readEnrolmentRecord(e.record)
}
