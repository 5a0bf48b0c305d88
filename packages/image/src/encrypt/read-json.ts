import { fromBase64 } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { asObject, type JsonObject, parseJsonObject, readAs } from '../oci/json.ts'

/** Options and key packets are a few hundred bytes for each recipient. */
export const MAX_PACKET_BYTES = 1024 * 1024

/** A strict JSON object out of an annotation, or out of what a key unwrapped to. */
export function readEncryptionJson(bytes: Uint8Array, what: string): JsonObject {
  return readAs('encryption.malformed', () => parseJsonObject(bytes, what, MAX_PACKET_BYTES))
}

/** A member that must be an object. */
export function readObject(value: unknown, what: string): JsonObject {
  return readAs('encryption.malformed', () => asObject(value, what))
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
