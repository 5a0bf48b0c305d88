import { TAG } from './der.ts'

type Bytes = Uint8Array<ArrayBuffer>

export function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const p of parts) {
    out.set(p, at)
    at += p.length
  }
  return out
}

/** One element from its parts. */
export function derElement(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concatBytes(...parts)
  const n = content.length
  const length =
    n < 0x80
      ? [n]
      : n < 0x100
        ? [0x81, n]
        : n < 0x10000
          ? [0x82, n >> 8, n & 255]
          : [0x83, n >> 16, (n >> 8) & 255, n & 255]
  return concatBytes(Uint8Array.of(tag, ...length), content)
}

export function derSequence(...parts: readonly Uint8Array[]): Bytes {
  return derElement(TAG.sequence, ...parts)
}

/** A non-negative integer from its big-endian bytes. */
export function derInteger(bytes: Uint8Array): Bytes {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const trimmed = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start)
  return derElement(TAG.integer, (trimmed[0] ?? 0) >= 0x80 ? concatBytes(Uint8Array.of(0), trimmed) : trimmed)
}

export function derBitString(bytes: Uint8Array): Bytes {
  return derElement(TAG.bitString, Uint8Array.of(0), bytes)
}

export function derOctetString(bytes: Uint8Array): Bytes {
  return derElement(TAG.octetString, bytes)
}

export function derOid(dotted: string): Bytes {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f]
    for (let n = Math.floor(arc / 128); n > 0; n = Math.floor(n / 128)) digits.unshift((n & 0x7f) | 0x80)
    return digits
  })
  return derElement(TAG.oid, Uint8Array.from(bytes))
}

export const DER_NULL: Bytes = Uint8Array.of(5, 0)
