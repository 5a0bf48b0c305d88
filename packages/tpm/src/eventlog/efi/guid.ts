import { TpmError } from '../../codec/errors.ts'
import type { ByteReader } from '../../codec/byte-reader.ts'
import { toHex } from '../hex.ts'

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

/** Reads an EFI_GUID: 16 bytes, mixed-endian, as `8be4df61-93ca-11d2-aa0d-00e098032b8c`. */
export function readGuid(r: ByteReader, field: string): string {
  const raw = r.view(field, 16)
  const hex = toHex(Uint8Array.from(ORDER, (i) => raw[i] ?? 0))
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** The 16 bytes of a GUID in lower-case text form. */
export function encodeGuid(guid: string): Uint8Array<ArrayBuffer> {
  if (!GUID.test(guid)) throw new TpmError('input.malformed', `GUID: ${JSON.stringify(guid)} is not one`)
  const digits = guid.replaceAll('-', '')
  return Uint8Array.from(ORDER, (i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}
