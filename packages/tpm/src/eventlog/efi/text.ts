import type { ByteReader } from '../../codec/byte-reader.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text of CHAR16, or undefined when the bytes are none. */
export function decodeUtf16(bytes: Uint8Array): string | undefined {
  if (bytes.length % 2 !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let text = ''
  // faster than TextDecoder for what logs hold: names of a few characters
  for (let at = 0; at < bytes.length; at += 2) text += String.fromCharCode(view.getUint16(at, true))
  return text.isWellFormed() ? text : undefined
}

/** UTF-8 text, or undefined when the bytes are none. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined // the caller decides what text that is no text means
  }
}

/** Reads `bytes` bytes of CHAR16 text without its terminator. */
export function readUtf16(r: ByteReader, field: string, bytes: number): string {
  const text = decodeUtf16(r.view(field, bytes))
  if (text === undefined) throw r.malformed(field, 'not UTF-16')
  return text
}

/** CHAR16 bytes of a text. */
export function encodeUtf16(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length * 2)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true)
  return bytes
}

/** Without one NUL at its end, if it has one. */
export function withoutNul(text: string): string {
  return text.endsWith('\0') ? text.slice(0, -1) : text
}
