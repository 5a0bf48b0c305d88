import { ALGORITHMS } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import { CEL_PART } from './cel-record.ts'
import type { CelLog, CelRecord } from './cel-record.ts'
import { LAST_REGISTER } from './tcg-log.ts'

/** Writes a canonical event log. `parseCel` gives it back. */
export function writeCel(log: CelLog): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('big', 4096)
  log.forEach((record, i) => writeCelRecord(w, record, i))
  return w.finish()
}

/** The bytes that record number `recordNumber` appends to a log. */
export function encodeCelRecord(record: CelRecord, recordNumber: number): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('big')
  writeCelRecord(w, record, recordNumber)
  return w.finish()
}

/** The content TLV with its header: what a record's digests are digests of. */
export function encodeCelContent(content: CelRecord['content']): Uint8Array<ArrayBuffer> {
  return writePart(new ByteWriter('big'), content.type, content.value).finish()
}

/** A record whose digests fit its content: extend the register with the digest of each bank, then append the record. */
export function celRecord(
  target: Pick<CelRecord, 'space' | 'register'>,
  content: CelRecord['content'],
  banks: readonly HashName[],
  crypto: Pick<VerifyCrypto, 'digest'>,
): CelRecord {
  const encoded = encodeCelContent(content)
  const { space, register } = target
  return { space, register, digests: new Map(banks.map((bank) => [bank, crypto.digest(bank, encoded)])), content }
}

function writeCelRecord(w: ByteWriter, { space, register, digests, content }: CelRecord, recordNumber: number): void {
  if (!Number.isInteger(register) || register < 0 || register > LAST_REGISTER[space])
    throw new TpmError('input.malformed', `record ${recordNumber}: there is no ${space} ${register}`)
  writePart(w, CEL_PART.recordNumber, new ByteWriter('big', 8).u64('number', BigInt(recordNumber)).finish())
  writePart(w, CEL_PART[space], Uint8Array.of(register))
  const nested = new ByteWriter('big')
  for (const [bank, digest] of digests) writePart(nested, ALGORITHMS[bank], digest)
  writePart(w, CEL_PART.digests, nested.finish())
  writePart(w, content.type, content.value)
}

function writePart(w: ByteWriter, type: number, value: Uint8Array): ByteWriter {
  return w.u8('type', type).sized32('value', value)
}
