import {
  digestOf,
  envelopeSchema,
  fromBase64,
  parseSchema,
  parseStrictJson,
  decisionRecordSchema,
  MAX_RECORD_BYTES,
  utf8,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Caller, Services, TenantContext } from './context.ts'
import { markOf } from './distrust-rules.ts'
import { receiptOf } from './receipts.ts'

const MOST_AFFECTED = 1000

/**
 * Distrusts a platform, image or boot state: running leases that rest on it end with the same transaction, and every
 * past release that did is listed. A dry run only lists.
 */
export async function distrust(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: z.output<typeof wire.distrustRequest>,
): Promise<z.input<typeof wire.distrustResponse>> {
  const tenant = context.tenant.id
  const mark = markOf(body.rule)
  const affected = await affectedBy(services, tenant, mark)
  if (body.dryRun) return { applied: false, affected, receipt: null }
  const rule = utf8(JSON.stringify(body.rule))
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: 'trust.distrusted',
      subject: mark,
      digest: digestOf(rule, nodeCrypto),
      facts: {
        rule: body.rule.id,
        by: caller.principal.party,
        leases: String(affected.filter((a) => a.running).length),
      },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'distrust.add', rule: { id: body.rule.id, mark, request: rule } },
    ],
    signer: context.logSigner,
  })
  services.log('trust.distrusted', { tenant, mark, endedLeases: recorded.endedLeases.length })
  return { applied: true, affected, receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

async function affectedBy(
  services: Services,
  tenant: string,
  mark: string,
): Promise<z.input<typeof wire.distrustResponse>['affected']> {
  const at = services.clock()
  const releases = (await services.store.decisions(tenant, { mark, limit: MOST_AFFECTED })).filter(
    (d) => d.outcome === 'release',
  )
  const affected = []
  for (const { id, decidedAt, leaseId } of releases) {
    const stored = await services.store.decision(tenant, id)
    const lease = leaseId === null ? null : await services.store.lease(tenant, leaseId)
    if (stored === null || lease === null || lease.decision !== id) continue // renewals belong to the release they renew
    const envelope = parseSchema(
      envelopeSchema,
      parseStrictJson(stored.record, { maxBytes: 2 * MAX_RECORD_BYTES }),
      'decision record',
    )
    const record = parseSchema(
      decisionRecordSchema,
      parseStrictJson(fromBase64(envelope.payload), { maxBytes: MAX_RECORD_BYTES }),
      'decision record',
    )
    if (record.operation === 'attest' || record.operation === 'distribute') continue
    affected.push({
      decision: id,
      at: decidedAt.toISOString(),
      machine: lease.enrolment,
      resources: record.inputs.resources.map((r) => r.path),
      lease: lease.id,
      running: lease.endedAt === null && lease.expiresAt > at,
    })
  }
  return affected
}
