import {
  type CryptoPort,
  digestOf,
  fromBase64,
  type LogKey,
  parseReceipt,
  parseSchema,
  parseStrictJson,
  toBase64,
  VouchsafeError,
  verifyReceipt,
} from '@vouchsafe/core'
import { type RecordedSigner, verifySignatureRecord } from '@vouchsafe/image/signature-record'
import { z } from 'zod'

/** All that it takes to prove, alone and offline, who signed an image by when. */
export interface SignatureProof {
  /** The signature with its key, exact bytes: the ledger's entry holds their digest. */
  readonly record: Uint8Array
  readonly receipt: string
}

/** What a proof proves, once the log's key is believed. */
export interface ProvedSignature extends RecordedSigner {
  /** When the log took it down: it was signed by then. */
  readonly at: string
  /** Who showed it to the broker; the broker's word. */
  readonly by: string
  readonly entry: number
  readonly log: string
  /** The entry's exact bytes. */
  readonly bytes: Uint8Array
}

const proofSchema = z.strictObject({
  proof: z.literal('image-signature/v1'),
  record: z.string(),
  receipt: z.string(),
})
const MAX_PROOF_BYTES = 192 * 1024

/** One line of JSON. The record is in base64, which keeps its bytes exact. */
export function formatSignatureProof({ record, receipt }: SignatureProof): string {
  return `${JSON.stringify({ proof: 'image-signature/v1', record: toBase64(record), receipt })}\n`
}

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large` */
export function parseSignatureProof(bytes: Uint8Array, what: string): SignatureProof {
  const { record, receipt } = parseSchema(proofSchema, parseStrictJson(bytes, { maxBytes: MAX_PROOF_BYTES }), what)
  return { record: fromBase64(record, `${what}: record`), receipt }
}

/**
 * Checks a proof with nothing but the log's key: the signature by the key in the record, and that the log holds exactly
 * this record as a signature of this image. Whether image and signer are the wanted ones is for the caller to compare.
 *
 * @throws {ImageError} as `verifySignatureRecord`
 * @throws {VouchsafeError} `ledger.receipt`, `ledger.checkpoint`, `ledger.broken`, `ledger.range`, `input.malformed`
 */
export async function verifySignatureProof(
  { record, receipt }: SignatureProof,
  logKey: LogKey,
  crypto: CryptoPort,
): Promise<ProvedSignature> {
  const signer = await verifySignatureRecord(record)
  const parsed = parseReceipt(receipt)
  const expected = { kind: 'signature.recorded', subject: signer.image, digest: digestOf(record, crypto) } as const
  const { entry } = await verifyReceipt(parsed, expected, logKey, crypto)
  const { key, form, by } = entry.facts
  // whoever has the entry alone reads these
  if (key !== signer.key.id || form !== signer.form || by === undefined)
    throw new VouchsafeError('ledger.receipt', `entry ${entry.seq} tells of another signature than its record`)
  return { ...signer, at: entry.time, by, entry: entry.seq, log: logKey.name, bytes: parsed.entry }
}
