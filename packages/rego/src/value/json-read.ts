import { adopt, DEFAULT_MAX_DEPTH } from './adopt.ts'
import { numberFromText } from './number.ts'
import { wellFormed } from './text.ts'
import { isArray, isRecord, newRecord, type Value } from './value.ts'
import { ValueError } from './value-error.ts'

export type JsonReadOptions = {
  /** Default `DEFAULT_MAX_DEPTH`. */
  readonly maxDepth?: number
  /** Refuse an object with the same name twice; default false: the last one wins, as OPA reads JSON. */
  readonly refuseDuplicates?: boolean
}

/**
 * Reads JSON text. Numbers keep their text and every digit, `__proto__` is a name like any other, lone surrogates
 * become U+FFFD.
 *
 * @throws {ValueError} `value.malformed` or `value.too-deep`.
 */
export function fromJson(text: string, options: JsonReadOptions = {}): Value {
  const names = namesIn(text)
  if (names !== undefined) {
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch (error) {
      throw new ValueError('value.malformed', error instanceof Error ? error.message : 'not JSON')
    }
    const value = adopt(parsed, options)
    if (options.refuseDuplicates !== true || membersOf(value) === names) return value
  }
  return new JsonReader(text, options).read()
}

/**
 * How many names of members the text has. Undefined if `JSON.parse` may lose digits: a number has a fraction, an exponent, 16 or
 * more characters, or is -0.
 */
function namesIn(text: string): number | undefined {
  let names = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 34) {
      i = endOfString(text, i + 1)
    } else if (c === 58) {
      names++
    } else if (c === 45 || (c >= 48 && c <= 57)) {
      const start = i
      for (i++; i < text.length; i++) {
        const d = text.charCodeAt(i)
        if (d >= 48 && d <= 57) continue
        if (d === 46 || d === 69 || d === 101) return undefined
        break
      }
      if (i - start > 15 || (c === 45 && text.charCodeAt(start + 1) === 48)) return undefined
      i--
    }
  }
  return names
}

/** Members of all objects in a value: fewer than the text had names where one was given twice. */
function membersOf(v: Value): number {
  let members = 0
  if (isArray(v)) for (const x of v) members += membersOf(x)
  else if (isRecord(v)) {
    const values = Object.values(v)
    members += values.length
    for (const x of values) members += membersOf(x)
  }
  return members
}

/** Index of the closing quote, or the end of the text. */
function endOfString(text: string, from: number): number {
  for (let at = from; ;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(quote - 1 - slashes) === 92 && quote - 1 - slashes >= from) slashes++
    if (slashes % 2 === 0) return quote
    at = quote + 1
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

class JsonReader {
  readonly #text: string
  readonly #options: JsonReadOptions
  #at = 0

  constructor(text: string, options: JsonReadOptions) {
    this.#text = text
    this.#options = options
  }

  read(): Value {
    const value = this.#value(this.#options.maxDepth ?? DEFAULT_MAX_DEPTH)
    this.#space()
    if (this.#at < this.#text.length) throw this.#malformed('text after the value')
    return value
  }

  #malformed(what: string): ValueError {
    return new ValueError('value.malformed', `${what} at offset ${this.#at}`)
  }

  #space(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const c = this.#text.charCodeAt(this.#at)
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return
    }
  }

  #take(ch: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== ch) return false
    this.#at++
    return true
  }

  #value(depth: number): Value {
    this.#space()
    switch (this.#text[this.#at]) {
      case '{':
      case '[':
        if (depth <= 0) throw new ValueError('value.too-deep', 'nested too deeply')
        return this.#text[this.#at++] === '{' ? this.#object(depth - 1) : this.#array(depth - 1)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #word(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#at)) throw this.#malformed('unknown word')
    this.#at += word.length
    return value
  }

  #number(): Value {
    NUMBER.lastIndex = this.#at
    const text = NUMBER.exec(this.#text)?.[0]
    const value = text === undefined ? undefined : numberFromText(text)
    if (text === undefined || value === undefined) throw this.#malformed('no value')
    this.#at += text.length
    return value
  }

  #string(): string {
    const end = endOfString(this.#text, this.#at + 1)
    const raw = this.#text.slice(this.#at, end + 1)
    let parsed: unknown
    try {
      parsed = JSON.parse(raw)
    } catch {
      throw this.#malformed('malformed string')
    }
    if (typeof parsed !== 'string') throw this.#malformed('malformed string')
    this.#at = end + 1
    return wellFormed(parsed)
  }

  #array(depth: number): Value {
    const out: Value[] = []
    if (this.#take(']')) return out
    do out.push(this.#value(depth))
    while (this.#take(','))
    if (!this.#take(']')) throw this.#malformed('expected , or ]')
    return out
  }

  #object(depth: number): Value {
    const out = newRecord()
    if (this.#take('}')) return out
    do {
      this.#space()
      if (this.#text[this.#at] !== '"') throw this.#malformed('expected a name')
      const key = this.#string()
      if (!this.#take(':')) throw this.#malformed('expected :')
      if (this.#options.refuseDuplicates === true && Object.hasOwn(out, key)) throw this.#malformed('name given twice')
      out[key] = this.#value(depth)
    } while (this.#take(','))
    if (!this.#take('}')) throw this.#malformed('expected , or }')
    return out
  }
}
