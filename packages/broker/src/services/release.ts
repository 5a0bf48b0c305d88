import {
  type ReleaseInputs,
  VouchsafeError,
  type Walk,
  claimedId,
  claimedNonce,
  decisionRecordSchema,
  fromBase64,
  fromUtf8,
  jwkThumbprint,
  parseAgreement,
  parseDigest,
  parseSchema,
  parseStrictJson,
  release as walkRelease,
  seal,
  toBase64,
  verifyPresentation,
  MAX_RECORD_BYTES,
  envelopeSchema,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import type { Lease, Resource, StoredDecision } from '../store/rows.ts'
import type { Decided, Epochs } from '../store/store.ts'
import type { NonceCheck, Services, TenantContext } from './context.ts'
import { distrustRulesOf } from './distrust-rules.ts'
import { readEnrolmentRecord } from './enrol.ts'
import { receiptOf } from './receipts.ts'
import { filedSetsFor } from './references.ts'
import { marksOf, newDecisionId, prepareDecision } from './record.ts'
import { recordingReplays, refusalOf } from './refusal.ts'

/** How often a release starts over when what it relied on changed under it. */
const ATTEMPTS = 4

/** A release or renewal as it arrived: the exact bytes that the proof covers. */
export interface PresentedRequest {
  readonly method: string
  readonly path: string
  readonly body: Uint8Array
  readonly token: string
  readonly proof: string
}

type Wanted =
  | { readonly operation: 'release'; readonly resources: readonly string[]; readonly requestId: string }
  | {
      readonly operation: 'renew'
      readonly lease: Lease
      readonly resources: readonly string[]
      readonly requestId: string
    }

/** Everything of one round that was read before the decision, and that the decision relies on. */
interface Gathered {
  readonly inputs: ReleaseInputs
  readonly epochs: Epochs
  readonly nonce: NonceCheck
  readonly resources: readonly Resource[]
}

/** Releases resources to an attested guest, or records why not. */
export async function releaseResources(
  services: Services,
  context: TenantContext,
  request: PresentedRequest,
  body: z.output<typeof wire.releaseRequest>,
): Promise<z.input<typeof wire.releaseResponse>> {
  const wanted: Wanted = { operation: 'release', resources: body.resources, requestId: body.requestId }
  const { decision, lease, sealed } = await decideAndRecord(services, context, request, wanted)
  return {
    decision: decision.id,
    sealed,
    lease: { id: lease.id, expires: lease.expiresAt.toISOString() },
    receipt: await receiptOf(services.store, context.tenant.id, decision.seq),
  }
}

/** Renews a lease by fresh evidence; any other answer ends it (decision 12). */
export async function renewLease(
  services: Services,
  context: TenantContext,
  request: PresentedRequest,
  leaseId: string,
  body: z.output<typeof wire.renewRequest>,
): Promise<z.input<typeof wire.renewResponse>> {
  const lease = await services.store.lease(context.tenant.id, leaseId)
  const first = lease === null ? null : await services.store.decision(context.tenant.id, lease.decision)
  if (lease === null || first === null)
    throw new VouchsafeError('release.unknown', 'no such lease, or not for this caller')
  if (lease.endedAt !== null) throw new VouchsafeError('lease.ended', `the lease ended: ${lease.endedWhy ?? 'unknown'}`)
  const record = readRecord(first)
  if (record.operation === 'attest' || record.operation === 'distribute')
    throw new VouchsafeError('internal', `lease ${lease.id} was begun by an attestation`)
  const wanted: Wanted = {
    operation: 'renew',
    lease,
    resources: record.inputs.resources.map((r) => r.path),
    requestId: body.requestId,
  }
  const { decision, lease: renewed } = await decideAndRecord(services, context, request, wanted)
  return {
    decision: decision.id,
    lease: { id: renewed.id, expires: renewed.expiresAt.toISOString() },
    receipt: await receiptOf(services.store, context.tenant.id, decision.seq),
  }
}

interface Released {
  readonly decision: { readonly id: string; readonly seq: number }
  readonly lease: { readonly id: string; readonly expiresAt: Date }
  readonly sealed: { resource: string; jwe: string }[]
}

async function decideAndRecord(
  services: Services,
  context: TenantContext,
  request: PresentedRequest,
  wanted: Wanted,
): Promise<Released> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await recordingReplays((replayed) => oneRound(services, context, request, wanted, replayed))
    } catch (error) {
      // something it relied on changed between reading and deciding: read again and decide anew (F15)
      if (!(error instanceof VouchsafeError && error.code === 'store.changed') || attempt === ATTEMPTS) throw error
    }
  }
}

async function oneRound(
  services: Services,
  context: TenantContext,
  request: PresentedRequest,
  wanted: Wanted,
  replayed: boolean,
): Promise<Released> {
  const { store } = services
  const tenant = context.tenant.id
  const at = services.clock()
  const read = await gather(services, context, request, wanted, at)
  const gathered = replayed ? asReplayed(read) : read
  const { inputs } = gathered
  const repeated = await firstAnswer(services, context, inputs, wanted, at)
  if (repeated !== null) return repeated

  const walk = await walkRelease(inputs, nodeCrypto)
  const id = newDecisionId()
  const prepared = prepareDecision(id, context, walk, { operation: wanted.operation, inputs })
  const validUntil = endOf(inputs, walk, at)
  const leaseId = wanted.operation === 'renew' ? wanted.lease.id : `l-${randomBytes(16).toString('base64url')}`
  // sealed before the lock is taken, used only if the transaction commits (decision 15)
  const sealed =
    walk.decision.kind === 'release' && wanted.operation === 'release' ? await sealAll(context, gathered, id) : []
  const decided = await store.decide({
    tenant,
    expect:
      walk.decision.kind === 'release'
        ? {
            epochs: gathered.epochs,
            agreement: agreementOf(inputs),
            resources: gathered.resources.map(({ path, version }) => ({ path, version })),
            validUntil,
          }
        : null,
    consume:
      gathered.nonce.state === 'fresh' && !replayed
        ? [{ id: gathered.nonce.id, expiresAt: gathered.nonce.expiresAt }]
        : [],
    decision: {
      id,
      record: prepared.envelope,
      digest: prepared.digest,
      outcome: prepared.outcome,
      code: prepared.code,
      marks: marksOf(walk, machineOf(inputs, walk) ?? 'unknown', inputs.attest?.agreementDigest ?? 'unknown'),
      facts: { operation: wanted.operation, resources: wanted.resources.join(' ') },
      request: walk.decision.kind === 'release' ? requestRef(inputs, wanted) : null,
    },
    lease: leaseChange(walk, wanted, leaseId, inputs, validUntil),
    signer: context.logSigner,
  })
  services.log('release.decided', { tenant, decision: id, outcome: prepared.outcome, code: prepared.code })
  for (const { name, kind } of (prepared.verdict.shadows ?? []).filter((s) => s.differs))
    services.log('shadow.differs', { tenant, decision: id, name, outcome: prepared.outcome, wouldBe: kind })
  if (walk.decision.kind !== 'release') throw refusalOf(prepared.code, id)
  if (decided.kind === 'repeated') return (await firstAnswer(services, context, inputs, wanted, at)) ?? lost(decided)
  return { decision: { id, seq: decided.seq }, lease: { id: leaseId, expiresAt: validUntil }, sealed }
}

/** Reads, in this order: epochs, then everything that rises them. A change in between makes the expectation fail. */
async function gather(
  services: Services,
  context: TenantContext,
  request: PresentedRequest,
  wanted: Wanted,
  at: Date,
): Promise<Gathered> {
  const { store } = services
  const tenant = context.tenant.id
  const { epochs } = await store.head(tenant)
  const attestation = claimedId(request.token)
  const attested = attestation === null ? null : await store.decision(tenant, attestation)
  const record = attested === null ? null : readRecord(attested)
  const shown = record?.operation === 'attest' ? record.inputs : null
  const enrolment = shown?.enrolment ? await store.enrolment(tenant, shown.enrolment.machine) : null
  // the attestation's raw evidence, held against what is trusted now (E13): a machine that was retired, or that enrolled
  // again after a restart, gets nothing for what it showed before (B10)
  const agreement = shown?.agreement ? parseAgreement(fromBase64(shown.agreement), nodeCrypto) : null
  const attest = shown && {
    ...shown,
    enrolment: enrolment === null || enrolment.endedAt !== null ? null : readEnrolmentRecord(enrolment.record),
    distrust: await distrustRulesOf(store, tenant),
    ...(agreement !== null && (await filedSetsFor(store, tenant, agreement.body))),
  }
  const current = agreement === null ? null : await store.currentAgreement(tenant, agreement.body.name)
  const statements = agreement === null ? [] : await store.statements(tenant, agreement.digest)
  const owners = (await store.principals(tenant)).filter(
    (p) => p.role === 'owner' && p.party === context.owner && p.removedAt === null,
  )
  const resources = await Promise.all(wanted.resources.map((path) => store.resource(tenant, path)))
  const claimed = claimedNonce(request.proof)
  const session = attest?.session ?? ''
  const nonce: NonceCheck =
    claimed === null ? { state: 'unissued' } : context.checkNonce(claimed, { purpose: 'release', session }, at)
  const inputs: ReleaseInputs = {
    at: at.toISOString(),
    presentation: {
      at: at.toISOString(),
      token: request.token,
      proof: request.proof,
      method: request.method,
      path: request.path,
      body: toBase64(request.body),
      nonce: claimed ?? '-',
      nonceState: nonce.state,
      issuer: context.issuer,
      audience: context.audience,
      keys: Object.fromEntries(context.tokenKeys),
    },
    attestation,
    attest,
    resources: wanted.resources.map((path, i) => ({ path, version: resources[i]?.version ?? null })),
    lease:
      wanted.operation === 'renew'
        ? { id: wanted.lease.id, machine: wanted.lease.enrolment, agreement: wanted.lease.agreement }
        : null,
    owner: { id: context.owner, keys: owners.map((p) => p.key) },
    statements: statements.map((s) =>
      parseSchema(envelopeSchema, parseStrictJson(s.envelope, { maxBytes: 65_536 }), 'statement'),
    ),
    supersededBy: agreement === null || current === null || current.digest === agreement.digest ? null : current.digest,
    ...shadowsAt(services, tenant, at),
  }
  return { inputs, epochs, nonce, resources: resources.filter((r) => r !== null) }
}

/** The policies on trial that are not over. */
function shadowsAt({ shadows }: Services, tenant: string, at: Date): Pick<ReleaseInputs, 'shadows'> {
  const live = (shadows?.[tenant] ?? []).filter(({ until }) => Date.parse(until) > at.getTime())
  return live.length === 0 ? {} : { shadows: [...live] }
}

/** The same round, knowing that its nonce was used by another. */
function asReplayed(gathered: Gathered): Gathered {
  const { inputs } = gathered
  return { ...gathered, inputs: { ...inputs, presentation: { ...inputs.presentation, nonceState: 'used' } } }
}

/** The same request of the same key fetches the decision that it already got, while the lease lives (decision 14). */
async function firstAnswer(
  services: Services,
  context: TenantContext,
  inputs: ReleaseInputs,
  wanted: Wanted,
  at: Date,
): Promise<Released | null> {
  const ref = requestRef(inputs, wanted)
  if (ref === null) return null
  const tenant = context.tenant.id
  const first = await services.store.decisionOf(tenant, ref)
  if (first === null) return null
  await verifyPresentation(inputs.presentation, nodeCrypto) // whoever repeats a request must hold its key as well
  const lease = first.leaseId === null ? null : await services.store.lease(tenant, first.leaseId)
  if (first.outcome !== 'release' || lease === null) throw refusalOf(first.code, first.id)
  if (lease.endedAt !== null || lease.expiresAt <= at)
    throw new VouchsafeError('lease.ended', 'the lease of the first answer is over')
  const record = readRecord(first)
  if (record.operation === 'attest' || record.operation === 'distribute')
    throw new VouchsafeError('internal', `decision ${first.id} is no release`)
  const resources: Resource[] = []
  for (const { path } of record.inputs.resources) {
    const resource = await services.store.resource(tenant, path)
    if (resource === null) throw new VouchsafeError('release.unknown', 'no such resource, or not for this caller')
    resources.push(resource)
  }
  const sealed = wanted.operation === 'release' ? await sealAll(context, { inputs, resources }, first.id) : []
  return { decision: { id: first.id, seq: first.seq }, lease: { id: lease.id, expiresAt: lease.expiresAt }, sealed }
}

function leaseChange(walk: Walk, wanted: Wanted, id: string, inputs: ReleaseInputs, expiresAt: Date) {
  if (walk.decision.kind === 'release')
    return wanted.operation === 'renew'
      ? ({ kind: 'renew', id, expiresAt } as const)
      : ({ kind: 'new', id, enrolment: machineOf(inputs, walk) ?? '', expiresAt } as const)
  // a refused renewal ends the lease, but only when it was its own guest who asked
  const own = wanted.operation === 'renew' && walk.result !== null && machineOf(inputs, walk) === wanted.lease.enrolment
  const why = walk.decision.kind === 'accept' ? 'internal' : walk.decision.reasons[0].code
  return own ? ({ kind: 'end', id, why } as const) : ({ kind: 'none' } as const)
}

/** Whose request it is: by its verified evidence, or else by its enrolment. */
function machineOf({ attest }: ReleaseInputs, { result }: Walk): string | undefined {
  return result?.claims.machine ?? attest?.enrolment?.machine
}

/** The earliest end of everything the decision rests on. */
function endOf(inputs: ReleaseInputs, walk: Walk, at: Date): Date {
  const agreement = inputs.attest?.agreement ?? null
  if (walk.decision.kind !== 'release' || agreement === null) return at
  const { body } = parseAgreement(fromBase64(agreement), nodeCrypto)
  const ends = [at.getTime() + body.leaseSeconds * 1000, Date.parse(body.expires)]
  const until = walk.result?.appraisal.until
  if (until !== undefined) ends.push(Date.parse(until)) // of the reference value that the boot was held against
  const asked = walk.decision.until // of those that policies asked for
  if (asked !== undefined) ends.push(Date.parse(asked))
  for (const { payload } of inputs.statements) {
    const statement = JSON.parse(fromUtf8(fromBase64(payload))) as { says: string; expires?: string }
    if (statement.says === 'approve' && statement.expires !== undefined && Date.parse(statement.expires) > at.getTime())
      ends.push(Date.parse(statement.expires))
  }
  return new Date(Math.min(...ends))
}

async function sealAll(
  context: TenantContext,
  { inputs, resources }: Pick<Gathered, 'inputs' | 'resources'>,
  decision: string,
): Promise<Released['sealed']> {
  const attest = inputs.attest
  if (attest === null) throw new VouchsafeError('internal', 'nothing is sealed without evidence')
  return Promise.all(
    resources.map(async (resource) => {
      const value = context.decryptResource(resource)
      const sealedContext = {
        issuer: context.brokerId,
        tenant: context.tenant.id,
        resource: resource.path,
        version: resource.version,
        agreement: attest.agreementDigest,
        decision,
        sealKey: jwkThumbprint(attest.sealKey, nodeCrypto),
      }
      const jwe = await seal(value, sealedContext, attest.sealKey, context.sealingKey)
      value.fill(0)
      return { resource: resource.path, jwe }
    }),
  )
}

function agreementOf(inputs: ReleaseInputs) {
  const { attest } = inputs
  if (attest === null || attest.agreement === null) throw new VouchsafeError('internal', 'a release without agreement')
  return {
    name: parseAgreement(fromBase64(attest.agreement), nodeCrypto).body.name,
    digest: parseDigest(attest.agreementDigest),
  }
}

/** Only releases are kept under it: who was denied or told to wait may ask again with the same id when the world has changed. */
function requestRef(inputs: ReleaseInputs, wanted: Wanted) {
  return inputs.attest === null
    ? null
    : { id: wanted.requestId, proofKey: jwkThumbprint(inputs.attest.proofKey, nodeCrypto) }
}

function readRecord(decision: StoredDecision) {
  const envelope = parseSchema(
    envelopeSchema,
    parseStrictJson(decision.record, { maxBytes: 2 * MAX_RECORD_BYTES }),
    'decision record',
  )
  return parseSchema(
    decisionRecordSchema,
    parseStrictJson(fromBase64(envelope.payload), { maxBytes: MAX_RECORD_BYTES }),
    'decision record',
  )
}

function lost(decided: Decided): never {
  throw new VouchsafeError(
    'internal',
    `decision ${decided.kind === 'repeated' ? decided.decision.id : ''} was repeated and cannot be read`,
  )
}
