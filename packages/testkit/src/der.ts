/** Writes DER for the fake vendors. Independent of the reader in core on purpose: one is tested against the other. */

type Bytes = Uint8Array

export function der(tag: number, ...parts: readonly Bytes[]): Uint8Array {
  const content = join(...parts)
  return join(Uint8Array.of(tag), derLength(content.length), content)
}

export function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Uint8Array.of(0x80 | octets.length, ...octets)
}

export const sequence = (...parts: readonly Bytes[]): Uint8Array => der(0x30, ...parts)
export const set = (...parts: readonly Bytes[]): Uint8Array => der(0x31, ...parts)
export const octetString = (...parts: readonly Bytes[]): Uint8Array => der(0x04, ...parts)
export const utf8String = (text: string): Uint8Array => der(0x0c, new TextEncoder().encode(text))
export const ia5String = (text: string): Uint8Array => der(0x16, new TextEncoder().encode(text))
export const printableString = (text: string): Uint8Array => der(0x13, new TextEncoder().encode(text))
export const boolean = (value: boolean): Uint8Array => der(0x01, Uint8Array.of(value ? 0xff : 0))
export const nullValue = (): Uint8Array => der(0x05)
export const enumerated = (value: number): Uint8Array => der(0x0a, Uint8Array.of(value))
/** `[n]`, constructed: what EXPLICIT writes. */
export const explicit = (n: number, ...parts: readonly Bytes[]): Uint8Array => der(0xa0 | n, ...parts)
/** `[n]`, primitive: what IMPLICIT writes for strings. */
export const implicit = (n: number, ...parts: readonly Bytes[]): Uint8Array => der(0x80 | n, ...parts)

/** A non-negative integer, minimal. */
export function integer(value: number | bigint): Uint8Array {
  const octets: number[] = []
  for (let rest = BigInt(value); rest > 0n; rest >>= 8n) octets.unshift(Number(rest & 0xffn))
  if (octets.length === 0 || (octets[0] ?? 0) >= 0x80) octets.unshift(0)
  return der(0x02, Uint8Array.from(octets))
}

export function bitString(octets: Bytes, unusedBits = 0): Uint8Array {
  return der(0x03, Uint8Array.of(unusedBits), octets)
}

export function oid(dotted: string): Uint8Array {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  const octets: number[] = []
  for (const arc of [first * 40n + second, ...rest]) {
    const group = [Number(arc & 0x7fn)]
    for (let left = arc >> 7n; left > 0n; left >>= 7n) group.unshift(Number(left & 0x7fn) | 0x80)
    octets.push(...group)
  }
  return der(0x06, Uint8Array.from(octets))
}

/** UTCTime until 2049, then GeneralizedTime, as RFC 5280 wants it. */
export function time(date: Date): Uint8Array {
  const digits = date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '')
  const short = date.getUTCFullYear() < 2050
  return der(short ? 0x17 : 0x18, new TextEncoder().encode(short ? digits.slice(2) : digits))
}

export function join(...parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
