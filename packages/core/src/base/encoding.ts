import { base64, base64urlnopad, hex } from '@scure/base'
import { VouchsafeError } from './errors.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

/** @throws {VouchsafeError} `input.malformed` on bytes that are not UTF-8; a byte order mark is kept, not dropped. */
export function fromUtf8(bytes: Uint8Array, what = 'text'): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new VouchsafeError('input.malformed', `${what}: not UTF-8`, { cause })
  }
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return hex.encode(bytes)
}

/** Strict: lower case, even length, `bytes` long where that is given. `Buffer.from(x, 'hex')` would stop silently at the first odd character. */
export function fromHex(text: string, what = 'hex', bytes?: number): Uint8Array<ArrayBuffer> {
  const out = strict(() => hex.decode(text), hex.encode, text, `${what}: not lower-case hexadecimal of even length`)
  if (bytes !== undefined && out.length !== bytes)
    throw new VouchsafeError('input.malformed', `${what}: ${out.length} bytes, wanted ${bytes}`)
  return out
}

/** Base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return base64urlnopad.encode(bytes)
}

/** Strict: no padding, no white space, and only the one canonical spelling of the bytes (E21). */
export function fromBase64Url(text: string, what = 'base64url'): Uint8Array<ArrayBuffer> {
  return strict(
    () => base64urlnopad.decode(text),
    base64urlnopad.encode,
    text,
    `${what}: not canonical base64url without padding`,
  )
}

/** Base64 with padding, as DSSE, C2SP notes and PEM write it. */
export function toBase64(bytes: Uint8Array): string {
  return base64.encode(bytes)
}

/** Strict: padded, no white space, canonical. */
export function fromBase64(text: string, what = 'base64'): Uint8Array<ArrayBuffer> {
  return strict(() => base64.decode(text), base64.encode, text, `${what}: not canonical padded base64`)
}

function strict(
  decode: () => Uint8Array,
  encode: (b: Uint8Array) => string,
  text: string,
  message: string,
): Uint8Array<ArrayBuffer> {
  let bytes: Uint8Array
  try {
    bytes = decode()
  } catch (cause) {
    throw new VouchsafeError('input.malformed', message, { cause })
  }
  if (encode(bytes) !== text) throw new VouchsafeError('input.malformed', message)
  return new Uint8Array(bytes)
}

/** One array from many. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
