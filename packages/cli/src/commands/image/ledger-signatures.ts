import {
  type CryptoPort,
  type Digest,
  type Entry,
  fromBase64,
  type LogKey,
  parseEntry,
  parseExportedEntry,
} from '@vouchsafe/core'
import { ImageError } from '@vouchsafe/image'
import { verifySignatureRecord, writeSignatureRecord } from '@vouchsafe/image/signature-record'
import type { FoundSignature } from '@vouchsafe/image/verifying'
import { type ProvedSignature, type SignatureProof, verifySignatureProof } from './signature-proof.ts'

/** A signature that the ledger holds. */
export interface LedgerSignature {
  readonly at: string
  readonly entry: number
  /** Who showed it to the broker. */
  readonly by: string
  /** Hexadecimal name of the key that signed. */
  readonly key: string
  /** `null` where the broker does not show it any more: that it was there stays known. */
  readonly proof: SignatureProof | null
}

/** What a broker shows: nothing of it is believed that the log does not hold. */
export interface ShownSignature {
  /** Base64 of its bytes. */
  readonly record: string
  readonly receipt: string
}

/**
 * The recorded signatures of an image, from an exported log that was checked. The log says who showed which and when; the
 * records, whose digests it holds, are the signatures themselves, and each is verified here again.
 *
 * @param lines - The whole log, as exported, and checked.
 * @param shown - What the broker showed before the log was read, which must be in it, and after: what the log holds must
 *   be there.
 */
export async function signaturesInLedger(
  image: Digest,
  lines: readonly string[],
  shown: { readonly before: readonly ShownSignature[]; readonly after: readonly ShownSignature[] },
  { logKey, crypto }: { readonly logKey: LogKey; readonly crypto: CryptoPort },
): Promise<{ readonly signatures: readonly LedgerSignature[]; readonly problems: readonly string[] }> {
  const problems: string[] = []
  const held = entriesOf(image, lines)
  const prove = async ({ record, receipt }: ShownSignature) => {
    const proof = { record: fromBase64(record, 'record'), receipt }
    try {
      return { proof, proved: await verifySignatureProof(proof, logKey, crypto) }
    } catch (error) {
      problems.push(`a signature that the broker shows: ${(error as Error).message}`)
      return null
    }
  }
  for (const one of shown.before) {
    const { proved } = (await prove(one)) ?? {}
    if (proved !== undefined && !isHeld(proved, image, lines))
      problems.push(`a signature by ${proved.key.id}: the broker shows it, and the ledger does not hold it`)
  }
  const proofs = new Map<number, SignatureProof>()
  for (const one of shown.after) {
    const { proof, proved } = (await prove(one)) ?? {}
    if (proof === undefined || proved === undefined) continue
    // entered after the log was read: the next look sees it
    if (proved.entry >= lines.length) continue
    if (isHeld(proved, image, lines)) proofs.set(proved.entry, proof)
    else problems.push(`a signature by ${proved.key.id}: the broker shows it, and the ledger does not hold it`)
  }
  const signatures = held.map(({ seq, time, facts }) => {
    const proof = proofs.get(seq) ?? null
    const key = facts['key'] ?? 'a key'
    if (proof === null)
      problems.push(`entry ${seq}: a signature by ${key} was recorded, and the broker does not show it any more`)
    return { at: time, entry: seq, by: facts['by'] ?? 'somebody', key, proof }
  })
  return { signatures, problems: [...new Set(problems)] }
}

function entriesOf(image: Digest, lines: readonly string[]): readonly Entry[] {
  return lines
    .filter((line) => line.includes('signature.recorded'))
    .map((line) => parseEntry(parseExportedEntry(line).entry))
    .filter(({ kind, subject }) => kind === 'signature.recorded' && subject === image)
}

/** The very entry of the checked log: a receipt may be of a log that was told to nobody else. */
function isHeld({ image: of, entry, bytes }: ProvedSignature, image: Digest, lines: readonly string[]): boolean {
  const line = lines[entry]
  if (line === undefined || of !== image) return false
  const held = parseExportedEntry(line).entry
  return held.length === bytes.length && held.every((byte, i) => byte === bytes[i])
}

/**
 * Whether a signature that was recorded once still lies in the registry: the same key's, over the same bytes.
 *
 * @param record - Verified.
 */
export async function isInRegistry(record: Uint8Array, all: readonly FoundSignature[]): Promise<boolean> {
  const { id, image, key } = await verifySignatureRecord(record)
  for (const found of all) {
    if (found.kind !== 'cosign' && found.kind !== 'bundle') continue
    try {
      if ((await verifySignatureRecord(writeSignatureRecord(image, key, found))).id === id) return true
    } catch (error) {
      // another's, or one that does not count: not this one
      if (!(error instanceof ImageError)) throw error
    }
  }
  return false
}
