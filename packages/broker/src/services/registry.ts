import { randomBytes } from 'node:crypto'
import { VouchsafeError, digestOf, toBase64Url, utf8, wire } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Caller, Services, TenantContext } from './context.ts'
import { ticketId } from './enrol.ts'

/** Makes a one-time ticket for enrolling a machine. Its text is shown once and never stored. */
export async function issueTicket(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: z.output<typeof wire.ticketRequest>,
): Promise<z.input<typeof wire.ticketResponse>> {
  const ticket = `t-${toBase64Url(randomBytes(24))}`
  const expiresAt = new Date(services.clock().getTime() + body.lifetimeSeconds * 1000)
  const id = ticketId(ticket)
  await services.store.append({
    tenant: context.tenant.id,
    entry: {
      kind: 'ticket.issued',
      subject: body.name,
      digest: id,
      facts: { by: caller.principal.party, expires: expiresAt.toISOString() },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'ticket.add', ticket: { id, madeBy: caller.principal.key, expiresAt } },
    ],
    signer: context.logSigner,
  })
  return { ticket, expires: expiresAt.toISOString() }
}

/** Adds a key to the tenant's registry. Owners are added by owners alone (G05). */
export async function addPrincipal(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: z.output<typeof wire.principalRequest>,
): Promise<Record<string, never>> {
  if (body.role === 'owner' && (caller.principal.role !== 'owner' || body.id !== context.owner))
    throw new VouchsafeError('request.forbidden', `an owner key of ${context.owner} takes an owner of ${context.owner}`)
  await services.store.append({
    tenant: context.tenant.id,
    entry: {
      kind: 'principal.added',
      subject: body.id,
      digest: digestOf(utf8(body.key), nodeCrypto),
      facts: { role: body.role, by: caller.principal.party },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'principal.add', principal: { key: body.key, party: body.id, role: body.role } },
    ],
    signer: context.logSigner,
  })
  return {}
}
