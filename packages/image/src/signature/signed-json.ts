import { ImageError } from '../errors.ts'
import { type JsonObject, parseJsonObject, readAs } from '../oci/json.ts'

/** One strict JSON object, for what was signed (K12). @throws {ImageError} `signature.malformed` */
export function parseSignedJson(bytes: Uint8Array, what: string, maxBytes: number): JsonObject {
  return readAs('signature.malformed', () => parseJsonObject(bytes, what, maxBytes))
}

/** What another reader refuses in its own words. @throws {ImageError} `signature.malformed`, saying where. */
export function wellFormed<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ImageError('signature.malformed', `${what}: ${(cause as Error).message}`, { cause })
  }
}

/** Strict base64: padded, one spelling. `lenient` lets newlines stand, which old images hold. */
export function readBase64(text: unknown, what: string, options: { readonly lenient?: boolean } = {}): Uint8Array {
  if (typeof text !== 'string') throw new ImageError('signature.malformed', `${what}: not a string`)
  const packed = options.lenient === true ? text.replace(/[\r\n]/g, '') : text
  const bytes = Buffer.from(packed, 'base64')
  if (bytes.toString('base64') !== packed) throw new ImageError('signature.malformed', `${what}: not base64`)
  return new Uint8Array(bytes)
}
