import {
  type ClientTerms,
  VouchsafeError,
  clientTermsName,
  digestOf,
  distributorWire,
  fromBase64,
  isClientTerms,
  parseClientTerms,
  toBase64,
  utf8,
  verifyStatement,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Caller, Services, TenantContext } from '../services/context.ts'
import { receiptOf } from '../services/receipts.ts'
import type { Change } from '../store/changes.ts'
import type { InstanceAddress, InstanceSource } from './context.ts'

type Provision = z.output<typeof distributorWire.provisionRequest>

/** What the platform says of an instance now: what its owner must see before approving it. */
export async function reviewInstance(
  services: Services,
  context: TenantContext,
  instances: InstanceSource,
  address: InstanceAddress,
): Promise<z.input<typeof distributorWire.instanceResponse>> {
  const facts = await instances.read(address, services.clock())
  const name = clientTermsName(facts.instance)
  const current = await services.store.currentAgreement(context.tenant.id, name)
  return { facts, terms: current === null ? null : { digest: current.digest, terms: toBase64(current.bytes) } }
}

/** Files an owner's terms of one client with its approval and the secrets, all or nothing. */
export async function provisionClient(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: Provision,
): Promise<z.input<typeof distributorWire.provisionResponse>> {
  const tenant = context.tenant.id
  const terms = parseClientTerms(fromBase64(body.terms, 'terms'), nodeCrypto)
  const previous = await assertNext(services, context, terms)
  const statement = await approvalOf(services, context, terms, body.statement)
  const tpm = terms.body.tpm
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: 'agreement.approved',
      subject: terms.digest,
      digest: terms.digest,
      facts: {
        owner: context.owner,
        by: caller.principal.party,
        instance: terms.body.client.instance,
        class: terms.body.leastClass,
        ...(tpm.kind === 'dangerously-exempt' && { exempt: tpm.reason }),
      },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      {
        change: 'agreement.file',
        agreement: { digest: terms.digest, name: terms.body.name, previous, bytes: terms.bytes },
      },
      { change: 'statement.add', statement },
      ...(await resourceChanges(services, context, terms, body.secrets)),
      { change: 'agreement.adopt', name: terms.body.name, digest: terms.digest },
    ],
    signer: context.logSigner,
  })
  services.log('distributor.provisioned', {
    tenant,
    instance: terms.body.client.instance,
    terms: terms.digest,
    class: terms.body.leastClass,
    exempt: tpm.kind === 'dangerously-exempt',
  })
  return { digest: terms.digest, receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

/** The terms must be this tenant's owner's, and follow the ones in force. @returns their digest */
async function assertNext(services: Services, context: TenantContext, { body }: ClientTerms) {
  if (!body.owners.some((o) => o.id === context.owner))
    throw new VouchsafeError('agreement.owner', `secrets here belong to ${context.owner}, the terms are not by them`)
  const current = await services.store.currentAgreement(context.tenant.id, body.name)
  if ((current?.digest ?? null) !== body.previous)
    throw new VouchsafeError(
      'request.conflict',
      `terms of ${body.client.instance}: they follow ${body.previous ?? 'none'}, in force is ${current?.digest ?? 'none'}`,
    )
  return current?.digest ?? null
}

/** Verifies that the owner approves exactly these terms, with a key of the registry (decision 1). */
async function approvalOf(
  services: Services,
  context: TenantContext,
  terms: ClientTerms,
  envelope: Provision['statement'],
) {
  const principals = await services.store.principals(context.tenant.id)
  const keys = principals
    .filter((p) => p.role === 'owner' && p.party === context.owner && p.removedAt === null)
    .map((p) => p.key)
  const named = terms.body.owners.flatMap((o) => (o.id === context.owner ? o.keys : []))
  const statement = await verifyStatement(
    envelope,
    (owner) => (owner === context.owner ? keys.filter((k) => named.includes(k)) : []),
    nodeCrypto,
  )
  if (statement.says !== 'approve' || statement.agreement !== terms.digest)
    throw new VouchsafeError('agreement.signature', 'the statement does not approve these terms')
  return {
    id: digestOf(fromBase64(envelope.payload, 'statement'), nodeCrypto),
    says: statement.says,
    agreement: terms.digest,
    owner: statement.owner,
    key: statement.key,
    envelope: utf8(JSON.stringify(envelope)),
    issuedAt: new Date(statement.issued),
    expiresAt: new Date(statement.expires),
  }
}

/** The next version of each secret's resource, encrypted under custody before it reaches the store (G15). */
async function resourceChanges(
  services: Services,
  context: TenantContext,
  terms: ClientTerms,
  values: Provision['secrets'],
): Promise<readonly Change[]> {
  const place = `distributor/${terms.body.client.instance}/`
  const wanted = terms.body.secrets.flatMap((s) =>
    s.from.kind === 'resource' ? [{ name: s.name, path: s.from.path }] : [],
  )
  const surplus = values.find((v) => !wanted.some((w) => w.name === v.name))
  if (surplus !== undefined || values.length !== wanted.length)
    throw new VouchsafeError(
      'input.malformed',
      `secrets: wanted ${wanted.map((w) => w.name).join(', ') || 'none'}, each once`,
    )
  return Promise.all(
    wanted.map(async ({ name, path }): Promise<Change> => {
      if (!path.startsWith(place))
        throw new VouchsafeError('input.malformed', `secret ${name}: its resource is not below ${place}`)
      const value = fromBase64(values.find((v) => v.name === name)?.value ?? '', 'value')
      const [newest] = await services.store.resourceHistory(context.tenant.id, path)
      const version = (newest?.version ?? 0) + 1
      const encrypted = context.encryptResource(path, version, value)
      const metadata = utf8(JSON.stringify({ bytes: value.length }))
      value.fill(0)
      return { change: 'resource.put', resource: { path, version, owner: context.owner, metadata, ...encrypted } }
    }),
  )
}

/** Every client approved here: what it may get, how often it did, and what is known of it. */
export async function listClients(
  services: Services,
  context: TenantContext,
): Promise<z.input<typeof distributorWire.listClientsResponse>> {
  const tenant = context.tenant.id
  const stored = (await services.store.agreements(tenant)).filter((s) => s.current && isClientTerms(s.bytes))
  const clients = await Promise.all(
    stored.map(async ({ bytes }) => {
      const { digest, body } = parseClientTerms(bytes, nodeCrypto)
      const { times } = body.delivery
      const delivered = (await services.store.decisions(tenant, { mark: `delivery:${digest}`, limit: 1000 })).length
      const statements = await services.store.statements(tenant, digest)
      return {
        instance: body.client.instance,
        digest,
        class: body.leastClass,
        exempt: body.tpm.kind === 'dangerously-exempt' ? body.tpm.reason : null,
        address: body.network.address,
        certificate: body.network.certificate,
        secrets: body.secrets.map((s) => s.name),
        delivered,
        times,
        expires: body.expires,
        withdrawn: statements.some((s) => s.says === 'withdraw'),
        done: delivered >= times,
      }
    }),
  )
  return { owner: context.owner, clients }
}
