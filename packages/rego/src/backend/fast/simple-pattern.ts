import { PatternReader, type CharSet, type Part } from './pattern-reader.ts'

/**
 * Tests whether a text matches a regular expression, for the expressions that need no engine: `^` or a literal beginning, then
 * literals and classes with repeats, each of which must end where the next part begins; also with alternatives, as in
 * `^[a-z]+-(hosts|hostname)$`. One pass over the text for each way through the alternatives, never back. These are nearly all
 * patterns of field policies: digests, names, identifiers.
 */
export type SimplePattern = (text: string) => boolean

/** @returns undefined if the pattern is not that simple: then an engine has to decide */
export function simplePattern(pattern: string): SimplePattern | undefined {
  const parsed = new PatternReader(pattern).read()
  if (parsed === undefined) return undefined
  const { parts, endings, start, end } = parsed
  if (!start) return end || endings !== undefined ? undefined : unanchored(parts)
  const ways = (endings ?? [[]]).map((ending) => [...parts, ...ending])
  if (!ways.every((way) => isDeterministic(way, end))) return undefined
  const literals = parts.findIndex((part) => literalOf(part) === undefined)
  const prefix = parts.slice(0, literals < 0 ? parts.length : literals)
  const rest = parts.slice(prefix.length)
  const begin = prefix.map(literalOf).join('')
  // code units: a character beyond the basic plane has two
  const least = Math.min(...ways.map((way) => way.reduce((sum, part) => sum + part.min, 0)))
  const most = end ? Math.max(...ways.map(longest)) : Infinity
  if (endings !== undefined)
    return (text) => {
      if (text.length < least || text.length > most || !text.startsWith(begin)) return false
      const at = matchParts(rest, text, begin.length)
      return at >= 0 && endings.some((ending) => endsWell(matchParts(ending, text, at), end, text))
    }
  const [only, ...more] = rest
  if (only !== undefined && more.length === 0 && end && !only.set.others) {
    return (text) =>
      text.length >= least &&
      text.length <= most &&
      (begin === '' || text.startsWith(begin)) &&
      consistsOf(only.set.ascii, text, begin.length)
  }
  return (text) =>
    text.length >= least &&
    text.length <= most &&
    text.startsWith(begin) &&
    endsWell(matchParts(rest, text, begin.length), end, text)
}

function longest(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.max * (part.set.others ? 2 : 1), 0)
}

function endsWell(at: number, end: boolean, text: string): boolean {
  return end ? at === text.length : at >= 0
}

/** What every text begins with that an anchored pattern matches, as far as that is easily seen. */
export function literalPrefix(pattern: string): string {
  if (pattern.includes('|')) return ''
  const [, prefix = '', next = ''] = /^\^([\w/=:,-]*)(.?)/su.exec(pattern) ?? []
  return '*?{'.includes(next) && next !== '' ? prefix.slice(0, -1) : prefix
}

/** The one character that a part is. */
function literalOf({ set, min, max }: Part): string | undefined {
  const only = set.ascii.indexOf(1)
  if (set.others || min !== 1 || max !== 1 || only < 0 || set.ascii.indexOf(1, only + 1) >= 0) return undefined
  return String.fromCharCode(only)
}

/** Without `^`, only a bare literal, which is a search, or what is found in any text, as `.*`. */
function unanchored(parts: readonly Part[]): SimplePattern | undefined {
  if (parts.length > 0 && parts.every((part) => part.min === 0)) return () => true
  let literal = ''
  for (const part of parts) {
    const c = literalOf(part)
    if (c === undefined) return undefined
    literal += c
  }
  return (text) => text.includes(literal)
}

function overlaps(a: CharSet, b: CharSet): boolean {
  if (a.others && b.others) return true
  return a.ascii.some((x, i) => x === 1 && b.ascii[i] === 1)
}

/** Whether taking as much as possible at each part is always right. */
function isDeterministic(parts: readonly Part[], end: boolean): boolean {
  for (const [i, part] of parts.entries()) {
    if (part.min === part.max) continue
    for (let j = i + 1; ; j++) {
      const next = parts[j]
      // at the end of a pattern without `$` everything is taken already; with it, only the end of the text can follow
      if (next === undefined) break
      if (overlaps(part.set, next.set)) return false
      if (next.min > 0) break
    }
  }
  return end || parts.length > 0
}

function consistsOf(ascii: Uint8Array, text: string, from: number): boolean {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c > 127 || ascii[c] === 0) return false
  }
  return true
}

/** @returns where the parts end, or -1 if they do not match */
function matchParts(parts: readonly Part[], text: string, from: number): number {
  const { length } = text
  let at = from
  for (let i = 0; i < parts.length; i++) {
    const { set, min, max } = parts[i] as Part
    const { ascii, others } = set
    if (!others) {
      const stop = Math.min(length, at + max)
      const first = at
      while (at < stop) {
        const c = text.charCodeAt(at)
        if (c > 127 || ascii[c] === 0) break
        at++
      }
      if (at - first < min) return -1
      continue
    }
    let count = 0
    while (count < max && at < length) {
      const c = text.charCodeAt(at)
      if (c < 128) {
        if (ascii[c] === 0) break
        at++
      } else {
        // a character beyond the basic plane is one character
        const next = (c & 0xfc00) === 0xd800 ? text.charCodeAt(at + 1) : 0
        at += (next & 0xfc00) === 0xdc00 ? 2 : 1
      }
      count++
    }
    if (count < min) return -1
  }
  return at
}
