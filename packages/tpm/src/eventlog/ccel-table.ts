import { ByteReader } from '../codec/byte-reader.ts'

/** Where a confidential guest's log lies, as its firmware tells the operating system. */
export interface CcelTable {
  readonly technology: 'sev' | 'tdx'
  readonly logAreaMinimumBytes: bigint
  readonly logAreaStart: bigint
}

const SIGNATURE = 0x4c454343 // "CCEL"
const TABLE_BYTES = 56
const TECHNOLOGIES = { 1: 'sev', 2: 'tdx' } as const

/**
 * Reads the ACPI table CCEL (`/sys/firmware/acpi/tables/CCEL`); the log itself is in `.../data/CCEL`. Not authentic: the
 * host writes it.
 *
 * @throws {TpmError} `input.malformed`
 * @source ACPI 6.5 section 5.2.34: Confidential Computing Event Log table
 */
export function parseCcelTable(bytes: Uint8Array): CcelTable {
  const r = new ByteReader('CCEL', bytes, 'little')
  if (r.u32('signature') !== SIGNATURE) throw r.malformed('signature', 'not CCEL')
  if (r.u32('length') !== bytes.length || bytes.length !== TABLE_BYTES)
    throw r.malformed('length', `not ${TABLE_BYTES}, or not that of the table`)
  if (bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0) !== 0)
    throw r.malformed('checksum', 'bytes do not add up to zero')
  r.view('revision, checksum and origin', 28)
  const type = r.u8('type')
  r.view('subtype and reserved', 3)
  const technology = TECHNOLOGIES[type as keyof typeof TECHNOLOGIES]
  if (technology === undefined) throw r.malformed('type', `${type} is neither SEV nor TDX`)
  const logAreaMinimumBytes = r.u64('logAreaMinimumLength')
  const logAreaStart = r.u64('logAreaStartAddress')
  r.end()
  return { technology, logAreaMinimumBytes, logAreaStart }
}
