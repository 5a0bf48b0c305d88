import { randomBytes } from 'node:crypto'
import { VouchsafeError, digestOf, toBase64Url, utf8, wire } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Enrolment } from '../store/rows.ts'
import type { Caller, Services, TenantContext } from './context.ts'
import { ticketId } from './enrol.ts'

/**
 * Makes a one-time ticket for enrolling a machine. Its text is shown once and never stored. A ticket that names an enrolled
 * machine lets that one enrol again, after a restart that its owner knows of.
 */
export async function issueTicket(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: z.output<typeof wire.ticketRequest>,
): Promise<z.input<typeof wire.ticketResponse>> {
  if (body.machine !== undefined) await enrolled(services, context, body.machine)
  const ticket = `t-${toBase64Url(randomBytes(24))}`
  const expiresAt = new Date(services.clock().getTime() + body.lifetimeSeconds * 1000)
  const id = ticketId(ticket)
  await services.store.append({
    tenant: context.tenant.id,
    entry: {
      kind: 'ticket.issued',
      subject: body.name,
      digest: id,
      facts: {
        by: caller.principal.party,
        expires: expiresAt.toISOString(),
        ...(body.machine !== undefined && { machine: body.machine }),
      },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'ticket.add', ticket: { id, madeBy: caller.principal.key, expiresAt, machine: body.machine ?? null } },
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

export async function listMachines(
  services: Services,
  context: TenantContext,
): Promise<z.input<typeof wire.listMachinesResponse>> {
  const machines = await services.store.enrolments(context.tenant.id)
  return {
    machines: machines.map((m) => ({
      machine: m.id,
      class: m.class,
      resetCount: m.resetCount,
      restartCount: m.restartCount,
      enrolled: m.enrolledAt.toISOString(),
      ended: m.endedAt?.toISOString() ?? null,
    })),
  }
}

/** Ends a machine's enrolment, and its leases with the same transaction. */
export async function retireMachine(
  services: Services,
  context: TenantContext,
  caller: Caller,
  machine: string,
): Promise<z.input<typeof wire.retireMachineResponse>> {
  const { record } = await enrolled(services, context, machine)
  const { endedLeases } = await services.store.append({
    tenant: context.tenant.id,
    entry: {
      kind: 'enrolment.ended',
      subject: machine,
      digest: digestOf(record, nodeCrypto),
      facts: { by: caller.principal.party },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'enrolment.end', id: machine, why: 'evidence.revoked' },
    ],
    signer: context.logSigner,
  })
  services.log('enrolment.ended', { tenant: context.tenant.id, machine, endedLeases: endedLeases.length })
  return { machine, endedLeases: [...endedLeases] }
}

async function enrolled(services: Services, context: TenantContext, machine: string): Promise<Enrolment> {
  const found = await services.store.enrolment(context.tenant.id, machine)
  if (found === null || found.endedAt !== null)
    throw new VouchsafeError('enrolment.unknown', `no machine ${machine} is enrolled here`)
  return found
}
