import { z } from 'zod'
import { fromBase64, fromBase64Url, fromHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parseSchema } from '../../base/schema.ts'
import { parseStrictJson } from '../../base/strict-json.ts'

const MAX_BYTES = 16 * 1024 * 1024

/** Bytes as attesters' messages write them: an array of numbers, or text in one of several codes. */
export const byteArray = (maxBytes: number) => z.array(z.number().int().min(0).max(255)).max(maxBytes)

/** Reads one message. Attesters add members now and then, so the schemas here are not strict; the evidence inside is. */
export function parseMessage<T extends z.ZodType>(bytes: Uint8Array, schema: T, what: string): z.output<T> {
  return parseSchema(schema, parseStrictJson(bytes, { maxBytes: MAX_BYTES }), what)
}

/** Hexadecimal in either case. */
export function hexBytes(text: string, what: string): Uint8Array {
  return fromHex(text.toLowerCase(), what)
}

/** Base64 of either alphabet, padded or not: what different versions of one attester write. */
export function base64Bytes(text: string, what: string): Uint8Array {
  const bare = text.replace(/=+$/, '')
  if (/[-_]/.test(bare)) return fromBase64Url(bare, what)
  return fromBase64(bare.padEnd(Math.ceil(bare.length / 4) * 4, '='), what)
}

/** Exactly so many bytes. */
export function sized(bytes: Uint8Array, length: number, what: string): Uint8Array {
  if (bytes.length !== length)
    throw new VouchsafeError('input.malformed', `${what}: ${bytes.length} bytes, wanted ${length}`)
  return bytes
}
