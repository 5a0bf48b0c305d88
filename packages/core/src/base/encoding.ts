import { base64, base64urlnopad } from '@scure/base'
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
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Strict: lower case, even length, `bytes` long where that is given. `Buffer.from(x, 'hex')` would stop silently at the first odd character. */
export function fromHex(text: string, what = 'hex', bytes?: number): Uint8Array<ArrayBuffer> {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text))
    throw new VouchsafeError('input.malformed', `${what}: not lower-case hexadecimal of even length`)
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1))
  if (bytes !== undefined && out.length !== bytes)
    throw new VouchsafeError('input.malformed', `${what}: ${out.length} bytes, wanted ${bytes}`)
  return out
}

/** Of a character that is known to be one. */
function digit(character: number): number {
  return character <= 57 ? character - 48 : character - 87
}

/** Base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return base64urlnopad.encode(bytes)
}

/** Strict: no padding, no white space, and only the one canonical spelling of the bytes (E21). */
export function fromBase64Url(text: string, what = 'base64url'): Uint8Array<ArrayBuffer> {
  const rest = text.length % 4
  if (!/^[A-Za-z0-9_-]*$/.test(text) || rest === 1 || !spellsOneWay(text.slice(text.length - rest)))
    throw new VouchsafeError('input.malformed', `${what}: not canonical base64url without padding`)
  return binary(atob(text.replaceAll('-', '+').replaceAll('_', '/')))
}

/** Base64 with padding, as DSSE, C2SP notes and PEM write it. */
export function toBase64(bytes: Uint8Array): string {
  return base64.encode(bytes)
}

/** Strict: padded, no white space, canonical. */
export function fromBase64(text: string, what = 'base64'): Uint8Array<ArrayBuffer> {
  const end = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const rest = end === 0 ? '' : text.slice(-4, text.length - end)
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0 || !spellsOneWay(rest))
    throw new VouchsafeError('input.malformed', `${what}: not canonical padded base64`)
  return binary(atob(text))
}

/** Bits that the last two or three characters have and the bytes do not are zero. */
function spellsOneWay(rest: string): boolean {
  if (rest.length === 2) return /[AQgw]$/.test(rest)
  return rest.length === 3 ? /[AEIMQUYcgkosw048]$/.test(rest) : true
}

/** What `atob` gives: a character for each byte. Native in browsers and Node, many times faster than a table. */
function binary(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
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
