import { TpmError } from '../../codec/errors.ts'
import type { ByteReader } from '../../codec/byte-reader.ts'

/** Vendors whose variables have a meaning here. */
export const VENDOR = {
  /** EFI_GLOBAL_VARIABLE: SecureBoot, PK, KEK, BootOrder */
  global: '8be4df61-93ca-11d2-aa0d-00e098032b8c',
  /** EFI_IMAGE_SECURITY_DATABASE: db, dbx, dbt, dbr */
  imageSecurity: 'd719b2cb-3d3a-4596-a3bc-dad00e67656f',
  /** The shim boot loader: MokList, Shim, SbatLevel */
  shim: '605dab50-e046-4300-abb6-3dd810dd8b23',
} as const

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** Where each byte of the text form lies: the first three groups are little-endian numbers. */
const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]

const DIGIT_CODES = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))
const HYPHEN = 0x2d

/** Reads an EFI_GUID: 16 bytes, mixed-endian, as `8be4df61-93ca-11d2-aa0d-00e098032b8c`. */
export function readGuid(r: ByteReader, field: string): string {
  const raw = r.view(field, 16)
  // one string from character codes: partition tables hold dozens of GUIDs, and joining pieces is what took the time
  const codes: number[] = []
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) codes.push(HYPHEN)
    const byte = raw[ORDER[i] ?? 0] ?? 0
    codes.push(DIGIT_CODES[byte >> 4] ?? 0, DIGIT_CODES[byte & 15] ?? 0)
  }
  return String.fromCharCode(...codes)
}

/** The 16 bytes of a GUID in lower-case text form. */
export function encodeGuid(guid: string): Uint8Array<ArrayBuffer> {
  if (!GUID.test(guid)) throw new TpmError('input.malformed', `GUID: ${JSON.stringify(guid)} is not one`)
  const digits = guid.replaceAll('-', '')
  return Uint8Array.from(ORDER, (i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}
