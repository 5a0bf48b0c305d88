/** The code units below 128 that a part accepts, and whether it accepts all others. */
export type CharSet = { readonly ascii: Uint8Array; readonly others: boolean }
export type Part = { readonly set: CharSet; readonly min: number; readonly max: number }

const MAX_REPEAT = 1000
const MAX_ENDINGS = 16

type SimpleForm = {
  readonly parts: readonly Part[]
  /** Of which one must follow the parts: the ways through the alternatives. Undefined if there are none. */
  readonly endings: readonly (readonly Part[])[] | undefined
  readonly start: boolean
  readonly end: boolean
}
const ESCAPED = '\\.+*?()|[]{}^$/-_=:,;@#%&<>"\'~`! '

/** Reads expressions that are simple enough for `simplePattern`. */
export class PatternReader {
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
    while (this.#text[this.#at] === '(') {
      const group = this.#group()
      const then = this.#sequence()
      if (group === undefined || then === undefined) return undefined
      endings = (endings ?? [[]]).flatMap((before) => group.map((one) => [...before, ...one, ...then]))
      if (endings.length > MAX_ENDINGS) return undefined
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
    if (this.#text.startsWith('(?:', this.#at)) this.#at += 2
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
