import type { CryptoPort } from './crypto.ts'
import { concat, utf8 } from './encoding.ts'

/**
 * A hash over named purposes and fields that two different inputs can never share (A06): a domain tag, then every
 * field preceded by its length.
 *
 * @param tag - The purpose, a constant of ours such as `vouchsafe/evidence/v1`.
 * @param fields - In the order of the specification; an absent value is the empty field, never left out.
 * @returns SHA-256(len32(tag) ‖ tag ‖ count32 ‖ for each field: len32 ‖ bytes), 32 bytes. Lengths are big-endian.
 */
export function transcript(tag: string, fields: readonly (Uint8Array | string)[], crypto: CryptoPort): Uint8Array {
  const parts: Uint8Array[] = [framed(utf8(tag)), u32(fields.length)]
  for (const field of fields) parts.push(framed(typeof field === 'string' ? utf8(field) : field))
  return crypto.digest('sha256', concat(...parts))
}

function framed(bytes: Uint8Array): Uint8Array {
  return concat(u32(bytes.length), bytes)
}

function u32(n: number): Uint8Array {
  return Uint8Array.of(n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff)
}
