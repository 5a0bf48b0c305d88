import type { Source } from './source.ts'
import { KEYWORDS, T, type TokenKind } from './token.ts'

export type Comment = { readonly start: number; readonly end: number }

/** All tokens of a text, in parallel arrays. `kinds` ends with `eof`. */
export type Tokens = {
  readonly kinds: readonly TokenKind[]
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  /** 0: nothing between this token and the one before; 1: blanks or a comment; 2: a line break. */
  readonly gaps: readonly number[]
  /** Why a token is illegal, and the text of template parts, by token index. */
  readonly notes: ReadonlyMap<number, string>
  readonly comments: readonly Comment[]
}

const LETTER = 1
const DIGIT = 2
const CLASS = new Uint8Array(128)
for (let c = 97; c <= 122; c++) CLASS[c] = CLASS[c - 32] = LETTER
CLASS[95] = LETTER
for (let c = 48; c <= 57; c++) CLASS[c] = DIGIT

/** One-character tokens by character code. */
const SINGLE = new Map<number, TokenKind>(
  (
    [
      ['[', T.lbrack],
      [']', T.rbrack],
      ['{', T.lbrace],
      ['}', T.rbrace],
      ['(', T.lparen],
      [')', T.rparen],
      [',', T.comma],
      [':', T.colon],
      ['+', T.add],
      ['-', T.sub],
      ['*', T.mul],
      ['/', T.quo],
      ['%', T.rem],
      ['&', T.and],
      ['|', T.or],
      ['=', T.unify],
      ['>', T.gt],
      ['<', T.lt],
      ['.', T.dot],
      [';', T.semicolon],
    ] as const
  ).map(([text, kind]) => [text.charCodeAt(0), kind]),
)
/** What a one-character token becomes with `=` behind it. */
const WITH_EQUALS = new Map<number, TokenKind>([
  [T.colon, T.assign],
  [T.unify, T.equal],
  [T.gt, T.gte],
  [T.lt, T.lte],
])

/** Splits a text into tokens. Never throws: what is no token becomes `illegal` with a note saying why. */
export function tokenize(source: Source): Tokens {
  return new Lexer(source.text).run()
}

class Lexer {
  readonly #text: string
  #at = 0
  #gap = 0
  readonly #kinds: TokenKind[] = []
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  readonly #gaps: number[] = []
  readonly #notes = new Map<number, string>()
  readonly #comments: Comment[] = []
  /** Open template strings, innermost last: raw or not, and how many braces are open inside the current part. */
  readonly #templates: { readonly raw: boolean; braces: number }[] = []

  constructor(text: string) {
    this.#text = text
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1
  }

  run(): Tokens {
    while (this.#skipBlanks()) this.#token()
    this.#push(T.eof, this.#text.length)
    return {
      kinds: this.#kinds,
      starts: this.#starts,
      ends: this.#ends,
      gaps: this.#gaps,
      notes: this.#notes,
      comments: this.#comments,
    }
  }

  #push(kind: TokenKind, start: number, note?: string): void {
    if (note !== undefined) this.#notes.set(this.#kinds.length, note)
    this.#kinds.push(kind)
    this.#starts.push(start)
    this.#ends.push(this.#at)
    this.#gaps.push(this.#gap)
    this.#gap = 0
  }

  /** @returns false at the end of the text */
  #skipBlanks(): boolean {
    const text = this.#text
    while (this.#at < text.length) {
      const c = text.charCodeAt(this.#at)
      if (c === 10) this.#gap = 2
      else if (c === 32 || c === 9 || c === 13) this.#gap ||= 1
      else if (c === 35) {
        const end = text.indexOf('\n', this.#at)
        const start = this.#at
        this.#at = end < 0 ? text.length : end
        this.#comments.push({ start, end: this.#at })
        this.#gap ||= 1
        continue
      } else return true
      this.#at++
    }
    return false
  }

  #token(): void {
    const start = this.#at
    const c = this.#text.charCodeAt(start)
    const kind = c < 128 ? CLASS[c] : 0
    if (kind === LETTER) return this.#word(start)
    if (kind === DIGIT) return this.#number(start)
    if (c === 34) return this.#string(start)
    if (c === 96) return this.#rawString(start)
    if (c === 36) return this.#templateStart(start)
    if (c === 33) return this.#bang(start)
    return this.#punctuation(start, c)
  }

  #word(start: number): void {
    const text = this.#text
    let at = start + 1
    for (let c = text.charCodeAt(at); c < 128 && CLASS[c] !== 0; c = text.charCodeAt(at)) at++
    this.#at = at
    // keywords have 2 to 8 characters
    const kind = at - start > 8 ? undefined : KEYWORDS.get(text.slice(start, at))
    this.#push(kind ?? T.ident, start)
  }

  #digits(): boolean {
    const from = this.#at
    for (let c = this.#text.charCodeAt(this.#at); c >= 48 && c <= 57; c = this.#text.charCodeAt(this.#at)) this.#at++
    return this.#at > from
  }

  #number(start: number): void {
    let note: string | undefined
    this.#digits()
    if (this.#text[this.#at] === '.') {
      this.#at++
      if (!this.#digits()) note = 'expected fraction'
    }
    if (this.#text[this.#at] === 'e' || this.#text[this.#at] === 'E') {
      this.#at++
      if (this.#text[this.#at] === '+' || this.#text[this.#at] === '-') this.#at++
      if (!this.#digits()) note ??= 'expected exponent'
    }
    const from = this.#at
    for (let c = this.#text.charCodeAt(this.#at); c < 128 && CLASS[c] !== 0; c = this.#text.charCodeAt(this.#at)) {
      this.#at++
    }
    if (this.#at > from) note ??= 'illegal number format'
    if (note === undefined) this.#push(T.number, start)
    else this.#push(T.illegal, start, note)
  }

  #string(start: number): void {
    this.#at++
    const note = this.#quoted('"')
    if (note === undefined) this.#push(T.string, start)
    else this.#push(T.illegal, start, note)
  }

  /** Reads up to and over a closing quote, or up to and over `{` when `braces`. @returns what is wrong */
  #quoted(close: string, braces = false): string | undefined {
    const text = this.#text
    let wrong: string | undefined
    while (this.#at < text.length) {
      const c = text[this.#at]
      if (c === '\n') break
      this.#at++
      if (c === close || (braces && c === '{')) return wrong
      if (c !== '\\') continue
      const escape = text[this.#at] ?? ''
      if (escape !== '' && ('\\"/bfnrt'.includes(escape) || (braces && escape === '{'))) this.#at++
      else if (escape === 'u') this.#at++
      else wrong ??= 'illegal escape sequence'
    }
    return wrong ?? 'non-terminated string'
  }

  #rawString(start: number): void {
    const end = this.#text.indexOf('`', start + 1)
    this.#at = end < 0 ? this.#text.length : end + 1
    if (end < 0) this.#push(T.illegal, start, 'non-terminated string')
    else this.#push(T.rawString, start)
  }

  #templateStart(start: number): void {
    const quote = this.#text[start + 1]
    this.#at++
    if (quote !== '"' && quote !== '`') return this.#push(T.illegal, start, 'illegal $ character')
    this.#at++
    this.#templates.push({ raw: quote === '`', braces: 0 })
    this.#templatePart(start)
  }

  /** From just behind the opening quote or a closing brace up to the next `{` or the closing quote. */
  #templatePart(start: number): void {
    const template = this.#templates.at(-1) as { raw: boolean; braces: number }
    const from = this.#at
    const wrong = template.raw ? this.#rawTemplate() : this.#quoted('"', true)
    if (wrong !== undefined) {
      this.#templates.pop()
      return this.#push(T.illegal, start, wrong)
    }
    const inner = this.#text.slice(from, this.#at - 1)
    const content = template.raw
      ? inner.replaceAll('\\{', '{')
      : inner.replaceAll(/\\[^]/g, (escape) => (escape === '\\{' ? '{' : escape))
    const more = this.#text[this.#at - 1] === '{'
    if (!more) this.#templates.pop()
    const kind = template.raw ? (more ? T.rawTemplatePart : T.rawTemplateEnd) : more ? T.templatePart : T.templateEnd
    this.#push(kind, start, content)
  }

  #rawTemplate(): string | undefined {
    const text = this.#text
    while (this.#at < text.length) {
      const c = text[this.#at++]
      if (c === '`' || c === '{') return undefined
      if (c === '\\' && text[this.#at] === '{') this.#at++
    }
    return 'non-terminated string'
  }

  #bang(start: number): void {
    this.#at++
    if (this.#text[this.#at] === '=') {
      this.#at++
      this.#push(T.neq, start)
    } else this.#push(T.illegal, start, 'illegal ! character')
  }

  #punctuation(start: number, c: number): void {
    const kind = SINGLE.get(c)
    if (kind === undefined) {
      this.#at += (this.#text.codePointAt(start) as number) > 0xffff ? 2 : 1
      return this.#push(T.illegal, start)
    }
    this.#at++
    if (this.#text[this.#at] === '=') {
      const longer = WITH_EQUALS.get(kind)
      if (longer !== undefined) {
        this.#at++
        return this.#push(longer, start)
      }
    }
    this.#push(kind, start)
    const template = this.#templates.at(-1)
    if (template === undefined) return
    if (kind === T.lbrace) template.braces++
    else if (kind === T.rbrace && template.braces-- === 0) {
      template.braces = 0
      this.#templatePart(this.#at)
    }
  }
}
