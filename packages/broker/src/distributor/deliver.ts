import { createHash } from 'node:crypto'
import {
  type ClientResult,
  type DistributionInputs,
  VouchsafeError,
  type WalkOf,
  distribute,
  fromBase64,
  fromUtf8,
  parseSchema,
  parseStrictJson,
  envelopeSchema,
  toBase64,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { anchorsOf } from '../services/anchors.ts'
import { distrustRulesOf } from '../services/distrust-rules.ts'
import { newDecisionId, prepareDecision } from '../services/record.ts'
import { refusalOf } from '../services/refusal.ts'
import type { Resource } from '../store/rows.ts'
import type { Epochs } from '../store/store.ts'
import type { KnownClient } from './authenticate.ts'
import type { Distributor } from './context.ts'
import { shownEvidence } from './sessions.ts'
import { type DeliveredSecret, type WantedToken, secretsFor, wrapSecrets } from './wrap-secrets.ts'

/** How often a delivery starts over when another one took its place in the count, or what it relied on changed. */
const ATTEMPTS = 16

export interface Delivery {
  readonly decision: string
  readonly class: string
  readonly secrets: readonly DeliveredSecret[]
}

/**
 * Walks the line for one client and records what came of it; only when the record is durable do secrets leave (decision
 * 15). Each delivery uses up the quote, the identity document and one of the times that the owner approved.
 *
 * @throws {RecordedRefusal} with the decision's id
 * @throws {VouchsafeError} `release.unknown`, without record, when no token for that audience was approved
 */
export async function deliver(
  distributor: Distributor,
  client: KnownClient,
  wanted: WantedToken | null = null,
): Promise<Delivery> {
  if (secretsFor(client, wanted).length === 0)
    throw new VouchsafeError('release.unknown', `the owner approved no access token for ${wanted?.audience}`)
  const tpm = takeTpmEvidence(distributor, client)
  let documentState: DistributionInputs['identity']['state'] = 'fresh'
  let delivered = -1
  for (let attempt = 1; ; attempt++) {
    const gathered = await gather(distributor, client, tpm, documentState)
    try {
      return await decideAndRecord(distributor, client, gathered, wanted)
    } catch (error) {
      if (!(error instanceof VouchsafeError) || attempt === ATTEMPTS) throw error
      // a place in the count or the document was taken meanwhile: when the count did not move, it was the document
      if (error.code === 'evidence.stale' && !('decision' in error)) {
        if (delivered === gathered.inputs.delivered) documentState = 'used'
        delivered = gathered.inputs.delivered
      } else if (error.code !== 'store.changed') throw error
    }
  }
}

/** The quote shown last, taken out: no second decision can use it (A17). */
function takeTpmEvidence(
  { sessions, services }: Distributor,
  { address, call }: KnownClient,
): DistributionInputs['tpm'] {
  const at = services.clock()
  const session = sessions.find(address.instance, call.channel.certificate, at)
  if (session === null) return null
  const evidence = shownEvidence(session, at)
  session.quote = null
  return evidence
}

interface Gathered {
  readonly inputs: DistributionInputs
  readonly epochs: Epochs
  readonly resources: ReadonlyMap<string, Resource>
}

/** Reads epochs first, then all that a decision rests on: what changes in between makes the record's transaction fail. */
async function gather(
  { services, context, instances, issuer, audience }: Distributor,
  client: KnownClient,
  tpm: DistributionInputs['tpm'],
  state: DistributionInputs['identity']['state'],
): Promise<Gathered> {
  const { store } = services
  const tenant = context.tenant.id
  const { terms, call } = client
  const at = services.clock()
  const { epochs } = await store.head(tenant)
  const facts = await instances.read(client.address, at)
  const current = await store.currentAgreement(tenant, terms.body.name)
  const statements = await store.statements(tenant, terms.digest)
  const owners = (await store.principals(tenant)).filter(
    (p) => p.role === 'owner' && p.party === context.owner && p.removedAt === null,
  )
  const resources = new Map<string, Resource>()
  for (const { name, from } of terms.body.secrets) {
    const found = from.kind === 'resource' ? await store.resource(tenant, from.path) : null
    if (found !== null) resources.set(name, found)
  }
  const inputs: DistributionInputs = {
    at: at.toISOString(),
    brokerId: context.brokerId,
    tenant,
    profile: context.profile,
    identity: { document: call.document, keys: client.keys, issuer, audience, state },
    channel: call.channel,
    facts,
    tpm,
    anchors: await anchorsOf(store, tenant),
    terms: toBase64(terms.bytes),
    owner: { id: context.owner, keys: owners.map((p) => p.key) },
    statements: statements.map((s) =>
      parseSchema(envelopeSchema, parseStrictJson(s.envelope, { maxBytes: 65_536 }), 'statement'),
    ),
    supersededBy: current === null || current.digest === terms.digest ? null : current.digest,
    secrets: terms.body.secrets.map(({ name }) => ({ name, version: resources.get(name)?.version ?? null })),
    delivered: await deliveriesOf(store, tenant, client),
    distrust: await distrustRulesOf(store, tenant),
  }
  return { inputs, epochs, resources }
}

/** How often secrets left under these terms. */
async function deliveriesOf(
  store: Distributor['services']['store'],
  tenant: string,
  { terms }: KnownClient,
): Promise<number> {
  const limit = terms.body.delivery.times
  let count = 0
  let beforeSeq: number | undefined
  for (;;) {
    const page = await store.decisions(tenant, {
      mark: `delivery:${terms.digest}`,
      limit: 1000,
      ...(beforeSeq !== undefined && { beforeSeq }),
    })
    count += page.length
    beforeSeq = page.at(-1)?.seq
    if (page.length < 1000 || count >= limit || beforeSeq === undefined) return Math.min(count, limit)
  }
}

async function decideAndRecord(
  distributor: Distributor,
  client: KnownClient,
  { inputs, epochs, resources }: Gathered,
  wanted: WantedToken | null,
): Promise<Delivery> {
  const { services, context } = distributor
  const { terms } = client
  const walk = await distribute(inputs, nodeCrypto)
  const id = newDecisionId()
  const prepared = prepareDecision(id, context, walk, { operation: 'distribute', inputs })
  const release = walk.decision.kind === 'release'
  const validUntil = endOf(inputs, Date.parse(terms.body.expires))
  const assurance = walk.result?.claims.class ?? 'unattested'
  // sealed before the lock is taken, used only if the transaction commits
  const secrets = release ? await wrapSecrets(distributor, client, { walk, resources, decision: id, wanted }) : []
  await services.store.decide({
    tenant: context.tenant.id,
    expect: release
      ? {
          epochs,
          agreement: { name: terms.body.name, digest: terms.digest },
          resources: [...resources.values()].map(({ path, version }) => ({ path, version })),
          validUntil,
        }
      : null,
    consume: release ? consumedBy(inputs, terms.digest, Date.parse(terms.body.expires)) : [],
    decision: {
      id,
      record: prepared.envelope,
      digest: prepared.digest,
      outcome: prepared.outcome,
      code: prepared.code,
      marks: marksOf(walk, client, release),
      facts: { operation: 'distribute', instance: client.address.instance, terms: terms.digest, class: assurance },
      request: null,
    },
    lease: { kind: 'none' },
    signer: context.logSigner,
  })
  services.log('distributor.decided', {
    tenant: context.tenant.id,
    instance: client.address.instance,
    decision: id,
    outcome: prepared.outcome,
    code: prepared.code,
    class: assurance,
    exempt: terms.body.tpm.kind === 'dangerously-exempt',
  })
  if (!release) throw refusalOf(prepared.code, id)
  return { decision: id, class: assurance, secrets }
}

/** The document, and one place in the count: both are there once, whatever happens at the same time. */
function consumedBy(inputs: DistributionInputs, terms: string, expires: number) {
  const once = (...parts: readonly string[]) => new Uint8Array(createHash('sha256').update(parts.join('\0')).digest())
  const hour = new Date(Date.parse(inputs.at) + 3_600_000)
  return [
    { id: once('identity', inputs.identity.document), expiresAt: hour },
    { id: once('delivery', terms, String(inputs.delivered + 1)), expiresAt: new Date(expires) },
  ]
}

/** By what a delivery is found when something it rested on comes to be distrusted. */
function marksOf(walk: WalkOf<ClientResult>, client: KnownClient, release: boolean): readonly string[] {
  const { digest } = client.terms
  const marks = [`machine:${client.address.instance}`, `agreement:${digest}`]
  if (release) marks.push(`delivery:${digest}`)
  const { result } = walk
  if (result === null) return marks
  for (const { image } of result.claims.facts.disks) if (image !== null) marks.push(`image:${image}`)
  const anchor = result.claims.tpm?.anchor ?? null
  if (anchor !== null) marks.push(`anchor:${anchor}`)
  for (const [n, value] of Object.entries(result.claims.tpm?.registers ?? {})) marks.push(`register:${n}:${value}`)
  return marks
}

/** Nothing that a delivery rests on may end before it is recorded. */
function endOf(inputs: DistributionInputs, expires: number): Date {
  const at = Date.parse(inputs.at)
  const ends = [expires]
  for (const { payload } of inputs.statements) {
    const statement = JSON.parse(fromUtf8(fromBase64(payload))) as { says: string; expires?: string }
    if (statement.says === 'approve' && statement.expires !== undefined && Date.parse(statement.expires) > at)
      ends.push(Date.parse(statement.expires))
  }
  return new Date(Math.min(...ends))
}
