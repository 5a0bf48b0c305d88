import { type Digest, VouchsafeError, digestOf, fromBase64, parseDigest, toBase64, wire } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { RecordedSigner } from '@vouchsafe/image/signature-record'
import type { z } from 'zod'
import type { RecordedSignature } from '../store/rows.ts'
import type { Caller, Services, TenantContext } from './context.ts'
import { receiptOf } from './receipts.ts'

/**
 * Enters a signature of an image into the ledger, so that who signed it by when can be proved where its registry has it no
 * more. It is a record: consent is in approvals of agreements alone (decision 2), and no decision reads this.
 *
 * What the same key said of the same image in the same bytes is entered once; shown again, the first entry is told.
 *
 * @throws {VouchsafeError} `input.malformed`; `image.signature` for one that does not verify, or is of another image;
 *   `input.too-large` when the image has all that it may have
 */
export async function recordSignature(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: z.output<typeof wire.recordSignatureRequest>,
): Promise<z.input<typeof wire.recordSignatureResponse>> {
  const tenant = context.tenant.id
  const record = fromBase64(body.record, 'record')
  const { id, key, form, image: signed } = await verify(record)
  const image = parseDigest(signed, 'record.image')
  try {
    const { seq } = await services.store.append({
      tenant,
      entry: {
        kind: 'signature.recorded',
        subject: image,
        digest: digestOf(record, nodeCrypto),
        facts: { key: key.id, form, by: caller.principal.party },
      },
      changes: [
        { change: 'nonce.consume', nonce: caller.nonce },
        { change: 'signature.add', signature: { image, id, record }, atMost: wire.MAX_RECORDED_SIGNATURES },
      ],
      signer: context.logSigner,
    })
    services.log('signature.recorded', { tenant, image, key: key.id, form })
    return { ...(await shown(services, tenant, { image, id, record, seq })), repeated: false }
  } catch (error) {
    // decided under the log's lock alone: whoever looked before it could be overtaken
    const first = isConflict(error) ? await find(services, tenant, image, id) : null
    if (first === null) throw error
    return { ...(await shown(services, tenant, first)), repeated: true }
  }
}

/** What was recorded of an image, oldest first. */
export async function listSignatures(
  services: Services,
  context: TenantContext,
  image: string,
): Promise<z.input<typeof wire.listSignaturesResponse>> {
  const tenant = context.tenant.id
  const kept = await services.store.signatures(tenant, parseDigest(image, 'image'))
  const signatures: z.input<typeof wire.recordedSignature>[] = []
  for (const signature of kept) signatures.push(await shown(services, tenant, signature))
  return { signatures }
}

/** The code that verifies is loaded when a first signature comes: most brokers are never shown one. */
async function verify(record: Uint8Array): Promise<RecordedSigner> {
  const { ImageError, verifySignatureRecord } = await import('@vouchsafe/image/signature-record')
  try {
    return await verifySignatureRecord(record)
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    throw new VouchsafeError('image.signature', cause.message, { cause })
  }
}

async function find({ store }: Services, tenant: string, image: Digest, id: string): Promise<RecordedSignature | null> {
  return (await store.signatures(tenant, image)).find((one) => one.id === id) ?? null
}

async function shown({ store }: Services, tenant: string, { record, seq }: RecordedSignature) {
  return { record: toBase64(record), receipt: await receiptOf(store, tenant, seq) }
}

function isConflict(error: unknown): boolean {
  return error instanceof VouchsafeError && error.code === 'store.conflict'
}
