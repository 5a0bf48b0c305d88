import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import type { Digest } from '../base/digest.ts'
import { fromBase64, fromUtf8, toBase64, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts'
import { type Entry, type EntryKind, MAX_ENTRY_BYTES, parseEntry } from './entry.ts'
import type { LogKey } from './log-key.ts'
import { leafHash } from './merkle.ts'
import { type Proof, verifyInclusion } from './proof.ts'

/** All that somebody needs to prove, alone and offline, that a log holds an entry. */
export interface Receipt {
  /** The entry's exact bytes. */
  readonly entry: Uint8Array
  readonly proof: Proof
  /** Signed, of any state of the log that holds the entry. */
  readonly checkpoint: string
}

const receiptSchema = z.strictObject({
  receipt: z.literal('v1'),
  entry: z.string().max(MAX_ENTRY_BYTES),
  // a log of 2^53 entries needs no more
  proof: z.array(z.string().length(44)).max(53),
  checkpoint: z.string().max(16 * 1024),
})

/** One line of JSON. The entry is carried as a string, which keeps its bytes exact and readable. */
export function formatReceipt({ entry, proof, checkpoint }: Receipt): string {
  return JSON.stringify({ receipt: 'v1', entry: fromUtf8(entry), proof: proof.map(toBase64), checkpoint })
}

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large` */
export function parseReceipt(text: string): Receipt {
  const { entry, proof, checkpoint } = parseSchema(
    receiptSchema,
    parseStrictJson(text, { maxBytes: 64 * 1024, maxDepth: 4 }),
    'receipt',
  )
  return { entry: utf8(entry), proof: proof.map((hash) => fromBase64(hash, 'receipt.proof')), checkpoint }
}

/**
 * Proves that a log recorded exactly this: not only something (I07). The digest that the caller computed over the
 * record in hand is compared in full, and so are kind and subject.
 *
 * @param expected - What must have been recorded, from the caller's own copy and never from the receipt.
 * @param logKey - The log's key, from the agreement or an owner's file.
 * @throws {VouchsafeError} `ledger.receipt` when the entry is about something else; `ledger.checkpoint`,
 *   `ledger.broken`, `ledger.range` when it is not in that log; `input.malformed`.
 */
export async function verifyReceipt(
  receipt: Receipt,
  expected: { readonly kind: EntryKind; readonly subject: string; readonly digest: Digest },
  logKey: LogKey,
  crypto: CryptoPort,
): Promise<{ readonly entry: Entry; readonly checkpoint: VerifiedCheckpoint }> {
  const checkpoint = await verifyCheckpoint(receipt.checkpoint, logKey, crypto)
  const entry = parseEntry(receipt.entry)
  const leaf = leafHash(receipt.entry, crypto)
  verifyInclusion({ index: entry.seq, size: checkpoint.size, leaf, root: checkpoint.root }, receipt.proof, crypto)
  for (const member of ['kind', 'subject', 'digest'] as const) {
    if (entry[member] !== expected[member])
      throw new VouchsafeError(
        'ledger.receipt',
        `the receipt is for ${member} ${JSON.stringify(entry[member])}, wanted ${JSON.stringify(expected[member])}`,
      )
  }
  return { entry, checkpoint }
}
