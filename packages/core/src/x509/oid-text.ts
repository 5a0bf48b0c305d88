/**
 * Texts of OIDs that were read before, by their octets: a certificate has two dozen, and nearly all certificates the same.
 * Who brings many others pushes these out, which costs each of them one more reading.
 */
const known: ({ readonly octets: Uint8Array; readonly text: string } | undefined)[] = new Array(1024).fill(undefined)

/** @internal Dotted decimal of the octets between two places, if they were read before. */
export function knownOid(bytes: Uint8Array, from: number, end: number): string | undefined {
  const entry = known[placeOf(bytes, from, end)]
  if (entry?.octets.length !== end - from) return undefined
  for (let i = from; i < end; i++) if (bytes[i] !== entry.octets[i - from]) return undefined
  return entry.text
}

/** @internal Dotted decimal. @param content - Whole arcs, each in its shortest form. Copied. */
export function rememberOid(content: Uint8Array): string {
  const text = oidText(content)
  known[placeOf(content, 0, content.length)] = { octets: new Uint8Array(content), text }
  return text
}

function placeOf(bytes: Uint8Array, from: number, end: number): number {
  let hash = end - from
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  return (hash >>> 16) & 1023
}

/** With bigints: UUID-based arcs have 128 bits. */
function oidText(content: Uint8Array): string {
  let text = ''
  let arc = 0n
  for (const octet of content) {
    arc = (arc << 7n) | BigInt(octet & 0x7f)
    if (octet >= 0x80) continue
    // the first two arcs share one number
    if (text !== '') text += `.${arc}`
    else text = arc < 80n ? `${arc / 40n}.${arc % 40n}` : `2.${arc - 80n}`
    arc = 0n
  }
  return text
}
