import { parseStrictJson } from '@vouchsafe/core/base'
import { ImageError, type ImageErrorCode } from '../errors.ts'
import { asObject, type JsonObject } from '../oci/json.ts'

/**
 * One strict JSON object, for what was signed: no duplicate members, no bad UTF-8 (K12).
 *
 * @throws {ImageError} `signature.malformed`, or the code that is told.
 */
export function parseSignedJson(
  bytes: Uint8Array,
  what: string,
  maxBytes: number,
  code: ImageErrorCode = 'signature.malformed',
): JsonObject {
  try {
    return asObject(parseStrictJson(bytes, { maxBytes }), what)
  } catch (cause) {
    throw new ImageError(code, `${what}: ${(cause as Error).message}`, { cause })
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
