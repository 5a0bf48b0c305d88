/**
 * Simple (one code point to one) case mapping, as Go does it. JavaScript maps fully: "ß" would become "SS".
 * Bytes that are not UTF-8 become U+FFFD on the way.
 */
export function upper(s: string): string {
  return /^[\0-\x7f]*$/.test(s) ? s.toUpperCase() : mapEach(s, upperOne)
}

export function lower(s: string): string {
  return /^[\0-\x7f]*$/.test(s) ? s.toLowerCase() : mapEach(s, lowerOne)
}

function mapEach(s: string, map: (ch: string) => string): string {
  let out = ''
  for (const ch of s.toWellFormed()) out += map(ch)
  return out
}

function upperOne(ch: string): string {
  const c = ch.codePointAt(0) ?? 0
  const titled = titleCaseOf(c)
  if (titled !== undefined) return String.fromCodePoint(titled)
  const full = ch.toUpperCase()
  return isOne(full) ? full : ch
}

/** Greek letters with iota subscript have a one-letter form that the full mapping spells with two. */
function titleCaseOf(c: number): number | undefined {
  if (c === 0x1fb3 || c === 0x1fc3 || c === 0x1ff3) return c + 9
  return c >= 0x1f80 && c <= 0x1faf && (c & 8) === 0 ? c + 8 : undefined
}

function lowerOne(ch: string): string {
  if (ch === 'İ') return 'i'
  const full = ch.toLowerCase()
  return isOne(full) ? full : ch
}

function isOne(s: string): boolean {
  return s.length === ((s.codePointAt(0) ?? 0) > 0xffff ? 2 : 1)
}
