import {
  VouchsafeError,
  digestOf,
  envelopeSchema,
  formatExportedEntry,
  parseSchema,
  parseStrictJson,
  utf8,
  wire,
  MAX_RECORD_BYTES,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Caller, Services, TenantContext } from './context.ts'
import { receiptOf } from './receipts.ts'

const LEDGER_PAGE = 500

/** The full signed record of a decision, for those it belongs to. Reading it is itself recorded (I10). */
export async function readDecision(
  services: Services,
  context: TenantContext,
  caller: Caller,
  id: string,
): Promise<z.input<typeof wire.decisionResponse>> {
  const tenant = context.tenant.id
  const stored = await services.store.decision(tenant, id)
  if (stored === null) throw new VouchsafeError('release.unknown', `no decision ${id} here`)
  await services.store.append({
    tenant,
    entry: {
      kind: 'record.read',
      subject: id,
      digest: digestOf(utf8(id), nodeCrypto),
      facts: { by: caller.principal.party, role: caller.principal.role },
    },
    changes: [{ change: 'nonce.consume', nonce: caller.nonce }],
    signer: context.logSigner,
  })
  const record = parseSchema(
    envelopeSchema,
    parseStrictJson(stored.record, { maxBytes: 2 * MAX_RECORD_BYTES }),
    'decision record',
  )
  return { record, receipt: await receiptOf(services.store, tenant, stored.seq) }
}

export async function listDecisions(
  services: Services,
  context: TenantContext,
): Promise<z.input<typeof wire.listDecisionsResponse>> {
  const decisions = await services.store.decisions(context.tenant.id, { limit: 100 })
  return {
    decisions: decisions.map((d) => ({ id: d.id, at: d.decidedAt.toISOString(), outcome: d.outcome, code: d.code })),
  }
}

export async function listLeases(
  services: Services,
  context: TenantContext,
): Promise<z.input<typeof wire.listLeasesResponse>> {
  const at = services.clock()
  const leases = await services.store.liveLeases(context.tenant.id, at)
  return {
    leases: leases.map((l) => ({
      id: l.id,
      decision: l.decision,
      machine: l.enrolment,
      expires: l.expiresAt.toISOString(),
      renewals: l.renewals,
    })),
  }
}

/** A page of the log, each entry with the checkpoint that was signed over it. */
export async function ledgerPage(
  services: Services,
  context: TenantContext,
  from: number,
): Promise<z.input<typeof wire.ledgerPage>> {
  const tenant = context.tenant.id
  const { size } = await services.store.head(tenant)
  const entries = await services.store.entries(tenant, from, LEDGER_PAGE)
  return { size, lines: entries.map((e) => formatExportedEntry({ entry: e.entry, checkpoint: e.checkpoint })) }
}
