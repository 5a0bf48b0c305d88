/** Dotted decimal of an OID. @param content - Whole arcs, each in its shortest form. With bigints: UUID-based arcs have 128 bits. */
export function oidText(content: Uint8Array): string {
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
