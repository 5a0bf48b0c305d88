import {
  type AttestInputs,
  attest,
  digestOf,
  type DistrustRule,
  envelopeSchema,
  fromBase64,
  isDistrusted,
  parseSchema,
  parseStrictJson,
  decisionRecordSchema,
  MAX_RECORD_BYTES,
  utf8,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { DecisionSummary } from '../store/rows.ts'
import type { Caller, Services, TenantContext } from './context.ts'
import { isExact, markOf } from './distrust-rules.ts'
import { receiptOf } from './receipts.ts'

/** Decisions that are read at once; all of them are read, however many. */
const PAGE = 100

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
  const found = markOf(body.rule)
  const affected = await affectedBy(services, tenant, body.rule)
  if (body.dryRun) return { applied: false, affected, receipt: null }
  const rule = utf8(JSON.stringify(body.rule))
  const running = affected.filter((a) => a.running)
  // a rule over a range has no mark that says it all: its leases are ended one by one, and the epoch that it raises
  // stops whatever was being released meanwhile
  const exact = isExact(body.rule)
  const mark = exact ? found : `rule:${body.rule.id}`
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: 'trust.distrusted',
      subject: mark,
      digest: digestOf(rule, nodeCrypto),
      facts: { rule: body.rule.id, by: caller.principal.party, leases: String(running.length) },
    },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'distrust.add', rule: { id: body.rule.id, mark, request: rule } },
      ...(exact ? [] : running.map(({ lease }) => ({ change: 'lease.end', id: lease, why: ENDED }) as const)),
    ],
    signer: context.logSigner,
  })
  services.log('trust.distrusted', { tenant, mark, endedLeases: recorded.endedLeases.length })
  return { applied: true, affected, receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

const ENDED = 'appraisal.distrusted'

async function affectedBy(
  services: Services,
  tenant: string,
  rule: DistrustRule,
): Promise<z.input<typeof wire.distrustResponse>['affected']> {
  const at = services.clock()
  const affected = []
  for await (const { id, decidedAt, leaseId, outcome } of decisionsWith(services, tenant, markOf(rule))) {
    if (outcome !== 'release') continue
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
    if (!isExact(rule) && !(await restsOn(rule, record.inputs.attest))) continue
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

/** Newest first. */
async function* decisionsWith({ store }: Services, tenant: string, mark: string): AsyncGenerator<DecisionSummary> {
  let beforeSeq = Number.MAX_SAFE_INTEGER
  for (;;) {
    const page = await store.decisions(tenant, { mark, beforeSeq, limit: PAGE })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    beforeSeq = last.seq
  }
}

/** Whether the rule speaks of what was shown: computed again from the raw evidence, since no claims are kept. */
async function restsOn(rule: DistrustRule, shown: AttestInputs | null): Promise<boolean> {
  if (shown === null) return false
  const { result } = await attest(shown, nodeCrypto)
  return result !== null && isDistrusted(rule, result.claims)
}
