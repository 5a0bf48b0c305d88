/**
 * Rego strings are sequences of bytes that are nearly always UTF-8. A JavaScript string holds them as code points;
 * a byte that is not part of valid UTF-8 (decoded nonces, digests) is kept as a lone surrogate, U+DC80 + (byte - 0x80).
 * Text from outside never brings such surrogates in: `wellFormed` replaces them there.
 */
const ESCAPE_BASE = 0xdc00
const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text from outside: lone surrogates become U+FFFD. */
export function wellFormed(s: string): string {
  return s.isWellFormed() ? s : s.toWellFormed()
}

/** The bytes of a string: UTF-8, and each kept byte as itself. */
export function textToBytes(s: string): Uint8Array<ArrayBuffer> {
  if (s.isWellFormed()) return encoder.encode(s)
  const parts: number[] = []
  for (const ch of s) {
    const c = ch.codePointAt(0) ?? 0
    if (c >= ESCAPE_BASE + 0x80 && c <= ESCAPE_BASE + 0xff) parts.push(c - ESCAPE_BASE)
    else for (const byte of encoder.encode(ch)) parts.push(byte)
  }
  return new Uint8Array(parts)
}

/** The string of these bytes; bytes that are not UTF-8 are kept, one lone surrogate each. */
export function bytesToText(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return decodeKeepingBytes(bytes)
  }
}

function decodeKeepingBytes(bytes: Uint8Array): string {
  let out = ''
  for (let i = 0; i < bytes.length;) {
    const n = sequenceLength(bytes, i)
    if (n === 0) {
      out += String.fromCharCode(ESCAPE_BASE + (bytes[i] ?? 0))
      i++
    } else {
      out += strictDecoder.decode(bytes.subarray(i, i + n))
      i += n
    }
  }
  return out
}

/** Length of the valid UTF-8 sequence at `i`, 0 if there is none. */
function sequenceLength(bytes: Uint8Array, i: number): number {
  const lead = bytes[i] ?? 0
  if (lead < 0x80) return 1
  const second = bytes[i + 1] ?? 0
  const n = lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0
  if (n === 0 || i + n > bytes.length) return 0
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  for (let k = 2; k < n; k++) if (((bytes[i + k] ?? 0) & 0xc0) !== 0x80) return 0
  return n
}

/** After joining or cutting: kept bytes that now make up valid UTF-8 become characters. */
export function joinKeptBytes(s: string): string {
  return s.isWellFormed() ? s : bytesToText(textToBytes(s))
}

/** True if the string holds bytes that are not UTF-8. */
export function hasKeptBytes(s: string): boolean {
  return !s.isWellFormed()
}

/** For output as JSON: what is not UTF-8 becomes U+FFFD. */
export function printable(s: string): string {
  return s.isWellFormed() ? s : s.toWellFormed()
}

/** Order by UTF-8 bytes, which is the order by code point; not by UTF-16 unit. */
export function compareText(a: string, b: string): -1 | 0 | 1 {
  if (a === b) return 0
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    if (x < 0xd800 && y < 0xd800) return x < y ? -1 : 1
    return compareBytes(textToBytes(fromPointStart(a, i)), textToBytes(fromPointStart(b, i)))
  }
  return a.length < b.length ? -1 : 1
}

/** The rest of `s` from the code point that unit `i` belongs to. */
function fromPointStart(s: string, i: number): string {
  const unit = s.charCodeAt(i)
  const before = i > 0 ? s.charCodeAt(i - 1) : 0
  const inPair = unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff
  return s.slice(inPair ? i - 1 : i)
}

function compareBytes(a: Uint8Array, b: Uint8Array): -1 | 0 | 1 {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const d = (a[i] ?? 0) - (b[i] ?? 0)
    if (d !== 0) return d < 0 ? -1 : 1
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1
}
