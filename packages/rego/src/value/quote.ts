const SHORT: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
}

/** What Go prints as it is: letters, marks, numbers, punctuation, symbols, and the plain space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

/** A Go string literal, as `strconv.Quote` writes it; Rego text of a string. Bytes that are not UTF-8 are `\xff`. */
export function quoteText(s: string, asciiOnly = false): string {
  // printable ASCII without quote and backslash needs nothing
  if (/^[ !#-[\]-~]*$/.test(s)) return `"${s}"`
  let out = '"'
  for (const ch of s) {
    const c = ch.codePointAt(0) ?? 0
    const short = SHORT[ch]
    if (short !== undefined) out += short
    else if (c >= 0x20 && c < 0x7f) out += ch
    else if (c >= 0xdc80 && c <= 0xdcff) out += `\\x${(c - 0xdc00).toString(16)}`
    else if (c < 0x20 || c === 0x7f) out += `\\x${c.toString(16).padStart(2, '0')}`
    else if (!asciiOnly && PRINTABLE.test(ch)) out += ch
    else if (c > 0xffff) out += `\\U${c.toString(16).padStart(8, '0')}`
    else out += `\\u${c.toString(16).padStart(4, '0')}`
  }
  return out + '"'
}
