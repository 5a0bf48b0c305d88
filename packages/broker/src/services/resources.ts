import { VouchsafeError, digestOf, fromBase64, utf8, wire } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { ResourceSummary } from '../store/rows.ts'
import type { Caller, Services, TenantContext } from './context.ts'
import { receiptOf } from './receipts.ts'

/** Puts the next version of a resource, encrypted under custody before it reaches the store (G15). */
export async function putResource(
  services: Services,
  context: TenantContext,
  caller: Caller,
  path: string,
  body: z.output<typeof wire.putResourceRequest>,
): Promise<z.input<typeof wire.putResourceResponse>> {
  const tenant = context.tenant.id
  if (caller.principal.party !== context.owner)
    throw new VouchsafeError('request.forbidden', `resources here belong to ${context.owner}`)
  const version = body.previousVersion + 1
  const value = fromBase64(body.value, 'value')
  const encrypted = context.encryptResource(path, version, value)
  const metadata = utf8(JSON.stringify({ bytes: value.length }))
  value.fill(0)
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: 'resource.put',
      subject: path,
      digest: digestOf(encrypted.ciphertext, nodeCrypto),
      facts: { version: String(version), by: caller.principal.party },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'resource.put', resource: { path, version, owner: context.owner, metadata, ...encrypted } },
    ],
    signer: context.logSigner,
  })
  return { path, version, receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

export async function removeResource(
  services: Services,
  context: TenantContext,
  caller: Caller,
  path: string,
): Promise<z.input<typeof wire.putResourceResponse>> {
  const tenant = context.tenant.id
  if (caller.principal.party !== context.owner)
    throw new VouchsafeError('request.forbidden', `resources here belong to ${context.owner}`)
  const newest = await services.store.resource(tenant, path)
  if (newest === null) throw new VouchsafeError('release.unknown', `no resource ${path}`)
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: 'resource.removed',
      subject: path,
      digest: digestOf(newest.ciphertext, nodeCrypto),
      facts: { version: String(newest.version), by: caller.principal.party },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'resource.remove', path },
    ],
    signer: context.logSigner,
  })
  return { path, version: newest.version, receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

const PAGE = 1000

export async function listResources(
  services: Services,
  context: TenantContext,
): Promise<z.input<typeof wire.listResourcesResponse>> {
  return { resources: (await services.store.resources(context.tenant.id, { limit: PAGE })).map(toWire) }
}

export async function resourceHistory(
  services: Services,
  context: TenantContext,
  path: string,
): Promise<z.input<typeof wire.listResourcesResponse>> {
  return { resources: (await services.store.resourceHistory(context.tenant.id, path)).map(toWire) }
}

function toWire(r: ResourceSummary) {
  const { bytes } = JSON.parse(new TextDecoder().decode(r.metadata)) as { bytes: number }
  return { path: r.path, version: r.version, created: r.putAt.toISOString(), removed: r.removed, bytes }
}
