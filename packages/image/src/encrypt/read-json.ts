import { fromBase64 } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { type JsonObject, parseJsonObject } from '../oci/json.ts'

/** Options and key packets are a few hundred bytes for each recipient. */
export const MAX_PACKET_BYTES = 1024 * 1024

/** A strict JSON object out of an annotation, or out of what a key unwrapped to. */
export function readEncryptionJson(bytes: Uint8Array, what: string): JsonObject {
  try {
    return parseJsonObject(bytes, what, MAX_PACKET_BYTES)
  } catch (cause) {
    throw malformed(what, (cause as Error).message.replace(`${what}: `, ''), cause)
  }
}

/** @param length - How many bytes there must be, where that is known. */
export function readBase64(value: unknown, what: string, length?: number): Uint8Array<ArrayBuffer> {
  if (typeof value !== 'string') throw malformed(what, 'not a string')
  let bytes: Uint8Array<ArrayBuffer>
  try {
    bytes = fromBase64(value, what)
  } catch (cause) {
    throw malformed(what, 'not canonical padded base64', cause)
  }
  if (length !== undefined && bytes.length !== length) throw malformed(what, `${bytes.length} bytes, wanted ${length}`)
  return bytes
}

export function malformed(what: string, why: string, cause?: unknown): ImageError {
  return new ImageError('encryption.malformed', `${what}: ${why}`, cause === undefined ? undefined : { cause })
}
