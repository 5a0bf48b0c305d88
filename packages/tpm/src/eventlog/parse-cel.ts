import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { ByteReader } from '../codec/byte-reader.ts'
import { TpmError } from '../codec/errors.ts'
import { bankOfAlgorithm } from './bank.ts'
import type { Bank } from './bank.ts'
import { CEL_PART } from './cel-record.ts'
import type { CelLog, CelRecord } from './cel-record.ts'
import { LAST_REGISTER } from './tcg-log.ts'

const MAX_LOG_BYTES = 4 * 1024 * 1024
const MAX_RECORDS = 16_384
const MAX_CONTENT_BYTES = 1024 * 1024

/**
 * Reads a canonical event log in its TLV form: records numbered from 0 without a gap, each of exactly four parts in order
 * (number, register, digests, content), each part filled to its last byte. Knows nothing of what contents mean; nothing in
 * the result is authentic before `replayCel` and `verifyReplays`.
 *
 * @param bytes - Big-endian. Empty bytes are an empty log. Copied.
 * @throws {TpmError} `input.malformed`, naming record, part and offset; `input.too-large`.
 * @source TCG Canonical Event Log Format 1.0: TLV encoding
 */
export function parseCel(bytes: Uint8Array): CelLog {
  if (bytes.length > MAX_LOG_BYTES)
    throw new TpmError('input.too-large', `canonical event log: ${bytes.length} bytes are over ${MAX_LOG_BYTES}`)
  const r = new ByteReader('canonical event log', new Uint8Array(bytes), 'big')
  const records: CelRecord[] = []
  while (r.remaining > 0) {
    if (records.length === MAX_RECORDS)
      throw new TpmError('input.too-large', `canonical event log: more than ${MAX_RECORDS} records`)
    records.push(readRecord(r, records))
  }
  return records
}

function readRecord(r: ByteReader, before: CelLog): CelRecord {
  const at = `record ${before.length}`
  const number = readPart(r, `${at} number`, 8, [CEL_PART.recordNumber])
  const counted = number.value.u64('number')
  if (counted !== BigInt(before.length)) throw r.malformed(`${at} number`, `is ${counted}`)
  number.value.end()

  const index = readPart(r, `${at} register`, 1, [CEL_PART.pcr, CEL_PART.ccmr])
  const space = index.type === CEL_PART.pcr ? 'pcr' : 'ccmr'
  const register = index.value.u8('register')
  index.value.end()
  if (register > LAST_REGISTER[space]) throw r.malformed(`${at} register`, `there is no ${space} ${register}`)
  if (before[0] !== undefined && before[0].space !== space)
    throw r.malformed(`${at} register`, `is a ${space}, record 0 a ${before[0].space}`)

  const digests = readDigests(r, at)
  if (before[0] !== undefined && !sameBanks(before[0].digests, digests))
    throw r.malformed(`${at} digests`, 'are not of the same banks as those of record 0')

  const content = readPart(r, `${at} content`, MAX_CONTENT_BYTES)
  return { space, register, digests, content: { type: content.type, value: content.value.rest() } }
}

function readDigests(r: ByteReader, at: string): ReadonlyMap<Bank, Uint8Array> {
  const { value } = readPart(r, `${at} digests`, 1024, [CEL_PART.digests])
  const digests = new Map<Bank, Uint8Array>()
  while (value.remaining > 0) {
    const algorithm = value.u8('algorithm')
    const bank = bankOfAlgorithm(algorithm)
    if (bank === undefined) throw value.malformed('algorithm', `0x${algorithm.toString(16)} is not a hash`)
    if (digests.has(bank)) throw value.malformed('algorithm', `${bank} occurs twice`)
    const digest = value.sized32('digest', DIGEST_BYTES[bank])
    if (digest.length !== DIGEST_BYTES[bank])
      throw value.malformed('digest', `${digest.length} bytes are not a ${bank} digest`)
    digests.set(bank, digest)
  }
  if (digests.size === 0) throw value.malformed('digests', 'there is none')
  return digests
}

/** One TLV. Without `types`, any type. */
function readPart(r: ByteReader, field: string, max: number, types?: readonly number[]) {
  const type = r.u8(`${field} type`)
  if (types !== undefined && !types.includes(type))
    throw r.malformed(`${field} type`, `is ${type}, wanted ${types.join(' or ')}`)
  const length = r.count(`${field} length`, max)
  return { type, value: r.part(field, length, `canonical event log ${field}`) }
}

function sameBanks(a: ReadonlyMap<Bank, unknown>, b: ReadonlyMap<Bank, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((bank) => b.has(bank))
}
