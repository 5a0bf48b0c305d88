/**
 * Tests whether a text matches a regular expression, for the expressions that need no engine: `^` or a literal beginning, then
 * literals and classes with repeats, each of which must end where the next part begins; also one of several such endings, as
 * in `^[a-z]+-(hosts|hostname)$`. One pass over the text for each ending, never back. These are nearly all patterns of field
 * policies: digests, names, identifiers.
 */
export type SimplePattern = (text: string) => boolean

/** The code units below 128 that a part accepts, and whether it accepts all others. */
type CharSet = { readonly ascii: Uint8Array; readonly others: boolean }
type Part = { readonly set: CharSet; readonly min: number; readonly max: number }

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

/** Without `^`, only a bare literal: then it is a search. */
function unanchored(parts: readonly Part[]): SimplePattern | undefined {
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

const MAX_REPEAT = 1000
const MAX_ENDINGS = 16

type SimpleForm = {
  readonly parts: readonly Part[]
  /** Of which one must follow the parts; undefined if nothing is left open. */
  readonly endings: readonly (readonly Part[])[] | undefined
  readonly start: boolean
  readonly end: boolean
}
const ESCAPED = '\\.+*?()|[]{}^$/-_=:,;@#%&<>"\'~`! '

class PatternReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): SimpleForm | undefined {
    const start = this.#take('^')
    const parts = this.#sequence()
    if (parts === undefined) return undefined
    let endings: SimpleForm['endings']
    if (this.#text[this.#at] === '(') {
      endings = this.#group()
      if (endings === undefined) return undefined
    }
    const end = this.#take('$')
    return this.#at < this.#text.length ? undefined : { parts, endings, start, end }
  }

  /** Parts up to what is none. */
  #sequence(): readonly Part[] | undefined {
    const parts: Part[] = []
    while (this.#at < this.#text.length && !'$(|)'.includes(this.#text.charAt(this.#at))) {
      const set = this.#set()
      if (set === undefined) return undefined
      const repeat = this.#repeat()
      if (repeat === undefined) return undefined
      parts.push({ set, ...repeat })
    }
    return parts
  }

  /** Alternatives, perhaps none of them. @returns undefined for what is no such group */
  #group(): readonly (readonly Part[])[] | undefined {
    const endings: (readonly Part[])[] = []
    do {
      this.#at++
      const ending = this.#sequence()
      if (ending === undefined) return undefined
      endings.push(ending)
    } while (this.#text[this.#at] === '|' && endings.length < MAX_ENDINGS)
    if (!this.#take(')')) return undefined
    if (this.#take('?')) endings.push([])
    return endings
  }

  #take(c: string): boolean {
    if (this.#text[this.#at] !== c) return false
    this.#at++
    return true
  }

  #set(): CharSet | undefined {
    const c = this.#text.charAt(this.#at)
    if (c === '[') return this.#class()
    if (c === '\\') return this.#escape()
    if (c === '.') {
      this.#at++
      return { ascii: new Uint8Array(128).fill(1).fill(0, 10, 11), others: true }
    }
    if ('^$.*+?()|{}'.includes(c) || c > '~') return undefined
    this.#at++
    return single(c)
  }

  #escape(): CharSet | undefined {
    const c = this.#text.charAt(this.#at + 1)
    this.#at += 2
    const known = perl(c)
    if (known !== undefined) return { ascii: known, others: false }
    return c !== '' && ESCAPED.includes(c) ? single(c) : undefined
  }

  #class(): CharSet | undefined {
    this.#at++
    const negated = this.#take('^')
    const ascii = new Uint8Array(128)
    for (let first = true; ; first = false) {
      const c = this.#text.charAt(this.#at)
      if (c === '' || c > '~' || (c === '[' && this.#text[this.#at + 1] === ':')) return undefined
      if (c === ']' && !first) break
      const from = this.#classChar(ascii)
      if (from === undefined) return undefined
      if (from < 0) continue
      let to = from
      if (this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']') {
        this.#at++
        const last = this.#classChar(undefined)
        if (last === undefined || last < from) return undefined
        to = last
      }
      for (let x = from; x <= to; x++) ascii[x] = 1
    }
    this.#at++
    if (!negated) return { ascii, others: false }
    return { ascii: ascii.map((x) => 1 - x), others: true }
  }

  /** @returns a code, -1 for a class of several that was added to `into`, undefined if it is something else */
  #classChar(into: Uint8Array | undefined): number | undefined {
    const c = this.#text.charAt(this.#at)
    if (c === '' || c > '~' || c === '[') return undefined
    this.#at++
    if (c !== '\\') return c.charCodeAt(0)
    const e = this.#text.charAt(this.#at++)
    const known = perl(e)
    if (known !== undefined) {
      if (into === undefined) return undefined
      for (let x = 0; x < 128; x++) if (known[x] === 1) into[x] = 1
      return -1
    }
    return e !== '' && ESCAPED.includes(e) ? e.charCodeAt(0) : undefined
  }

  #repeat(): { min: number; max: number } | undefined {
    let repeat = { min: 1, max: 1 }
    const c = this.#text[this.#at]
    if (c === '*' || c === '+' || c === '?') {
      this.#at++
      repeat = { min: c === '+' ? 1 : 0, max: c === '?' ? 1 : Infinity }
    } else if (c === '{') {
      const m = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#text.slice(this.#at))
      if (m === null) return undefined
      this.#at += m[0].length
      const min = Number(m[1])
      const max = m[2] === undefined ? min : m[3] === '' ? Infinity : Number(m[3])
      if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT) || max < min) return undefined
      repeat = { min, max }
    }
    // `a+?` and `a**` are for the engine
    const next = this.#text.charAt(this.#at)
    return next !== '' && '*+?{'.includes(next) ? undefined : repeat
  }
}

function single(c: string): CharSet {
  const ascii = new Uint8Array(128)
  ascii[c.charCodeAt(0)] = 1
  return { ascii, others: false }
}

function perl(c: string): Uint8Array | undefined {
  const ascii = new Uint8Array(128)
  const ranges =
    c === 'd' ? ['09'] : c === 'w' ? ['09', 'az', 'AZ', '__'] : c === 's' ? ['\t\n', '\f\r', '  '] : undefined
  if (ranges === undefined) return undefined
  for (const range of ranges) {
    for (let x = range.charCodeAt(0); x <= range.charCodeAt(1); x++) ascii[x] = 1
  }
  return ascii
}
