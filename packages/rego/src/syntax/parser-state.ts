import type { Diagnostic } from '../errors.ts'
import type { Body, Expr, Term, VarTerm } from './ast.ts'
import { tokenize, type Tokens } from './lexer.ts'
import { Location, type Source } from './source.ts'
import { FIRST_FUTURE_KEYWORD, FIRST_KEYWORD, T, tokenName, type TokenKind } from './token.ts'

/** How deeply terms, bodies and groups may nest. Keeps the recursion of the parser and of all later stages off the stack's end. */
export const MAX_SOURCE_DEPTH = 250

/** Steps of the parser per token before it gives up: backtracking is bounded by memory of terms, this bounds the rest. */
const STEPS_PER_TOKEN = 400

type Remembered = {
  readonly term: Term | undefined
  readonly end: number
  readonly errors: readonly Diagnostic[]
}

/** Thrown to leave the parser at once when a bound is hit. */
export class ParseBound extends Error {}

/** Where the parser stands: token, errors, keywords that are switched on. The grammar is functions over this. */
export class ParserState {
  readonly source: Source
  readonly tokens: Tokens
  readonly errors: Diagnostic[] = []
  readonly active = new Set<TokenKind>()
  /** `not { body }` and `not x` that holds when x is undefined: `import future.keywords.not`. */
  notBodies = false
  at = 0
  tok: TokenKind = T.eof
  readonly #terms = new Map<number, Remembered>()
  #hints: string[] = []
  #wildcards = 0
  #depth = 0
  #steps: number
  /** The two rules that terms need from the grammar of bodies; set by `parse-body.ts`, which imports the terms. */
  parseBody: (end: TokenKind) => Body | undefined = () => undefined
  parseLiteral: () => Expr | undefined = () => undefined

  constructor(source: Source) {
    this.source = source
    this.tokens = tokenize(source)
    this.#steps = 10_000 + STEPS_PER_TOKEN * this.tokens.kinds.length
    this.seek(0)
  }

  seek(at: number): void {
    this.at = at
    const kind = this.tokens.kinds[at] as TokenKind
    this.tok = kind >= FIRST_FUTURE_KEYWORD && !this.active.has(kind) ? T.ident : kind
  }

  next(): void {
    if (--this.#steps < 0) {
      this.error('the text needs too much backtracking to be read')
      throw new ParseBound()
    }
    if (this.tok !== T.eof) this.seek(this.at + 1)
  }

  /** Switches future keywords on; the current token is read again. */
  activate(...kinds: readonly TokenKind[]): void {
    for (const kind of kinds) {
      this.active.add(kind)
      if (kind === T.every) this.active.add(T.in)
    }
    this.#terms.clear()
    this.seek(this.at)
  }

  /** The next token's kind, and whether anything stands between it and this one. */
  peek(): TokenKind {
    const kind = this.tokens.kinds[this.at + 1] ?? T.eof
    return kind >= FIRST_FUTURE_KEYWORD && !this.active.has(kind) ? T.ident : kind
  }

  /** True if blanks, a comment or a line break stand before the current token. */
  get gap(): boolean {
    return this.tokens.gaps[this.at] !== 0
  }

  get lineBreak(): boolean {
    return this.tokens.gaps[this.at] === 2
  }

  /** Whether the next token follows without a gap and is `.` or `[`: then a keyword is the head of a reference. */
  get startsReference(): boolean {
    const next = this.tokens.kinds[this.at + 1]
    return this.tokens.gaps[this.at + 1] === 0 && (next === T.dot || next === T.lbrack)
  }

  get isKeyword(): boolean {
    return this.tok >= FIRST_KEYWORD
  }

  get start(): number {
    return this.tokens.starts[this.at] as number
  }

  /** Where the token before the current one ends. */
  get lastEnd(): number {
    return this.at === 0 ? 0 : (this.tokens.ends[this.at - 1] as number)
  }

  get text(): string {
    return this.source.text.slice(this.start, this.tokens.ends[this.at])
  }

  /** The current token's place. */
  here(): Location {
    return new Location(this.source, this.start, this.tokens.ends[this.at] as number)
  }

  /** From `start` to the end of the last token read. */
  since(start: number): Location {
    return new Location(this.source, start, Math.max(start, this.lastEnd))
  }

  hint(text: string): void {
    this.#hints.push(text)
  }

  error(message: string, location: Location = this.here()): undefined {
    const hint = this.#hints.join(', ')
    this.#hints = []
    this.errors.push({ code: 'rego_parse_error', message, location, ...(hint === '' ? {} : { hint }) })
    return undefined
  }

  /** The current token does not fit. */
  unexpected(note?: string): undefined {
    if (this.tok === T.illegal) return this.error(this.tokens.notes.get(this.at) ?? 'illegal token')
    const what = `unexpected ${tokenName(this.tok)} ${this.isKeyword ? 'keyword' : 'token'}`
    return this.error(note === undefined ? what : `${what}: ${note}`)
  }

  /** Forgets errors past a mark: what was tried did not work out, something else will be. */
  rewind(at: number, errors: number): void {
    this.errors.length = errors
    this.#hints = []
    this.seek(at)
  }

  wildcard(loc: Location): VarTerm {
    return { kind: 'var', loc, name: `$${this.#wildcards++}` }
  }

  /** Refuses what would become a tree of this many levels. */
  checkDepth(levels: number): void {
    if (levels + this.#depth < MAX_SOURCE_DEPTH) return
    const message = `nested more than ${MAX_SOURCE_DEPTH} levels deep`
    this.errors.push({ code: 'bound_depth', message, location: this.here() })
    throw new ParseBound()
  }

  /** One level deeper, or an error and undefined. */
  nested<R>(parse: () => R | undefined): R | undefined {
    this.checkDepth(0)
    this.#depth++
    const result = parse()
    this.#depth--
    return result
  }

  /** A term is read once from a place, however often the grammar has to go back: reading stays linear. */
  remembered(parse: () => Term | undefined): Term | undefined {
    // a keyword that heads a reference is read as an identifier: another term at the same place
    const from = this.at * 2 + (this.tok === T.ident ? 1 : 0)
    const known = this.#terms.get(from)
    if (known !== undefined) {
      for (const e of known.errors) this.errors.push(e)
      this.seek(known.end)
      return known.term
    }
    const before = this.errors.length
    const term = parse()
    this.#terms.set(from, { term, end: this.at, errors: this.errors.slice(before) })
    return term
  }

  /** At the start of a top-level statement: what was remembered is not asked for again. */
  forget(): void {
    this.#terms.clear()
    this.#depth = 0
  }
}
