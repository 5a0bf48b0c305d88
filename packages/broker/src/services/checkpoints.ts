import { VouchsafeError, parseCheckpoint, toBase64, wire } from '@vouchsafe/core'
import type { z } from 'zod'
import { digestOf, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Services, TenantContext } from './context.ts'

type Carried = z.output<typeof wire.attestRequest>['carried']

/**
 * Keeps the checkpoints of other brokers that a guest carried here (decision 16). They are recorded as shown: this
 * broker knows no key of theirs and claims nothing about them; owners compare them later.
 */
export async function carryCheckpoints(services: Services, context: TenantContext, carried: Carried): Promise<void> {
  const tenant = context.tenant.id
  for (const { broker, checkpoint } of carried) {
    const { origin, size } = parseCheckpoint(checkpoint)
    const kept = await services.store.foreignCheckpoint(tenant, origin)
    if (kept !== null && kept.size >= size) continue
    await services.store.append({
      tenant,
      entry: {
        kind: 'checkpoint.seen',
        subject: origin,
        digest: digestOf(utf8(checkpoint), nodeCrypto),
        facts: { broker, size: String(size) },
      },
      changes: [{ change: 'checkpoint.keep', checkpoint: { origin, size, checkpoint } }],
      signer: context.logSigner,
    })
  }
}

/** The newest checkpoint, with proof that it only added to the one that the caller kept. */
export async function growthSince(
  services: Services,
  context: TenantContext,
  kept: string | null,
): Promise<z.input<typeof wire.attestResponse>['log']> {
  const tenant = context.tenant.id
  const { size, checkpoint } = await services.store.head(tenant)
  if (kept === null) return { checkpoint, consistency: [] }
  const earlier = parseCheckpoint(kept)
  if (earlier.origin !== context.tenant.origin)
    throw new VouchsafeError(
      'input.malformed',
      `kept checkpoint: origin ${earlier.origin}, this log is ${context.tenant.origin}`,
    )
  if (earlier.size > size)
    throw new VouchsafeError(
      'ledger.regressed',
      `a checkpoint of ${earlier.size} entries is kept, this log has ${size}`,
    )
  const proof = await services.store.consistencyProof(tenant, earlier.size, size)
  return { checkpoint, consistency: proof.map((hash) => toBase64(hash)) }
}
