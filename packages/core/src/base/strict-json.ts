import { VouchsafeError } from './errors.ts'
import { fromUtf8 } from './encoding.ts'
import { readQuickly } from './quick-json.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json }

/** Bounds of one reading; both required, because a default would be wrong for somebody. */
export interface JsonLimits {
  readonly maxBytes: number
  /** Nesting of arrays and objects. 32 unless told. */
  readonly maxDepth?: number
}

/**
 * The one JSON reader for anything that was signed, hashed or sent by a stranger (decision 3, K12). Unlike
 * `JSON.parse` it refuses duplicate members, integers beyond 2^53 (write them as decimal strings), numbers that
 * overflow, lone surrogates, bytes that are not UTF-8, and byte order marks. Objects have no prototype, so a member
 * named `__proto__` is only a member.
 *
 * @throws {VouchsafeError} `input.too-large`, or `input.malformed` naming the offset in UTF-16 units.
 * @source RFC 8259; RFC 7493 (I-JSON) section 2
 */
export function parseStrictJson(input: Uint8Array | string, limits: JsonLimits): Json {
  if (input.length > limits.maxBytes)
    throw new VouchsafeError('input.too-large', `JSON: ${input.length} bytes, at most ${limits.maxBytes}`)
  const text = typeof input === 'string' ? input : fromUtf8(input, 'JSON')
  const maxDepth = limits.maxDepth ?? 32
  return readQuickly(text, maxDepth) ?? readSlowly(text, maxDepth)
}

/** Character by character: all the rules, and where a text breaks one. */
export function readSlowly(text: string, maxDepth: number): Json {
  return new Reader(text, maxDepth).document()
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const PLAIN = /[^"\\\u0000-\u001f]*/y
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

class Reader {
  readonly #text: string
  readonly #maxDepth: number
  #at = 0

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
  }

  document(): Json {
    const value = this.#value(0)
    this.#space()
    if (this.#at !== this.#text.length) throw this.#malformed('text after the end of the document')
    return value
  }

  #value(depth: number): Json {
    if (depth > this.#maxDepth) throw this.#malformed(`nested deeper than ${this.#maxDepth}`)
    this.#space()
    const c = this.#text[this.#at]
    if (c === '{') return this.#object(depth)
    if (c === '[') return this.#array(depth)
    if (c === '"') return this.#string()
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    return this.#number()
  }

  #object(depth: number): Json {
    const out = Object.create(null) as Record<string, Json>
    this.#at++
    if (this.#next('}')) return out
    for (;;) {
      this.#space()
      if (this.#text[this.#at] !== '"') throw this.#malformed('wanted a member name')
      const name = this.#string()
      if (Object.hasOwn(out, name)) throw this.#malformed(`duplicate member ${JSON.stringify(name)}`)
      if (!this.#next(':')) throw this.#malformed('wanted :')
      out[name] = this.#value(depth + 1)
      if (this.#next('}')) return out
      if (!this.#next(',')) throw this.#malformed('wanted , or }')
    }
  }

  #array(depth: number): Json {
    const out: Json[] = []
    this.#at++
    if (this.#next(']')) return out
    for (;;) {
      out.push(this.#value(depth + 1))
      if (this.#next(']')) return out
      if (!this.#next(',')) throw this.#malformed('wanted , or ]')
    }
  }

  #string(): string {
    this.#at++
    let out = ''
    for (;;) {
      PLAIN.lastIndex = this.#at
      const run = PLAIN.exec(this.#text)?.[0] ?? ''
      out += run
      this.#at += run.length
      const c = this.#text[this.#at]
      if (c === '"') break
      if (c !== '\\') throw this.#malformed(c === undefined ? 'string without end' : 'control character in a string')
      out += this.#escape()
    }
    this.#at++
    if (!out.isWellFormed()) throw this.#malformed('lone surrogate in a string')
    return out
  }

  #escape(): string {
    const c = this.#text[this.#at + 1] ?? ''
    if (c === 'u') {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#malformed('bad \\u escape')
      this.#at += 6
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const plain = ESCAPES[c]
    if (plain === undefined) throw this.#malformed('unknown escape')
    this.#at += 2
    return plain
  }

  #number(): number {
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) throw this.#malformed('wanted a value')
    const value = Number(match[0])
    if (!Number.isFinite(value)) throw this.#malformed('number out of range')
    const integer = match[1] === undefined && match[2] === undefined
    if (integer && !Number.isSafeInteger(value))
      throw this.#malformed('integer beyond 2^53: write it as a decimal string')
    this.#at += match[0].length
    return value
  }

  /** Skips white space, then takes `c` if it is next. */
  #next(c: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== c) return false
    this.#at++
    return true
  }

  #space(): void {
    while (' \n\r\t'.includes(this.#text[this.#at] ?? 'x')) this.#at++
  }

  #malformed(why: string): VouchsafeError {
    return new VouchsafeError('input.malformed', `JSON: ${why}, at offset ${this.#at}`)
  }
}
