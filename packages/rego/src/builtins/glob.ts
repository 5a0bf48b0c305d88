import { RE2JS } from 're2js'
import { isArray, typeName, type Value } from '../value/index.ts'
import { BoundedCache } from './bounded-cache.ts'
import { codePoints } from './code-points.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O, operandError, takeStrings } from './define.ts'
import { T } from './types.ts'

/**
 * Glob patterns are turned into regular expressions for the linear engine: `*` stays between delimiters, `**` does not,
 * `?` is one character that is no delimiter; `[ab]`, `[a-c]`, `[!a]`, `{x,y}` and `\` as usual.
 */
export type GlobMatcher = (s: string) => boolean
const compiled = new BoundedCache<GlobMatcher>(256)

const MAX_NESTING = 100

class GlobReader {
  readonly #points: readonly string[]
  readonly #delimiters: string
  #at = 0
  #depth = 0

  constructor(pattern: string, delimiters: readonly string[]) {
    this.#points = codePoints(pattern)
    this.#delimiters = delimiters.map(quoteInClass).join('')
  }

  /** @param nested - inside `{…}`, where `,` and `}` mean something */
  read(nested: boolean): string {
    let out = ''
    for (let ch = this.#points[this.#at]; ch !== undefined; ch = this.#points[this.#at]) {
      if (nested && (ch === ',' || ch === '}')) return out
      this.#at++
      out += this.#one(ch)
    }
    return out
  }

  #one(ch: string): string {
    switch (ch) {
      case '*':
        return this.#star()
      case '?':
        return this.#notDelimiter()
      case '[':
        return this.#class()
      case '{':
        return this.#alternatives()
      case '\\': {
        const next = this.#points[this.#at++]
        if (next === undefined) throw new BuiltinError('unexpected end of input')
        return quote(next)
      }
      default:
        return quote(ch)
    }
  }

  #star(): string {
    if (this.#points[this.#at] !== '*') return `${this.#notDelimiter()}*`
    while (this.#points[this.#at] === '*') this.#at++
    return '.*'
  }

  #notDelimiter(): string {
    return this.#delimiters === '' ? '.' : `[^${this.#delimiters}]`
  }

  #take(): string {
    const ch = this.#points[this.#at++]
    if (ch === undefined) throw new BuiltinError('unexpected end of input')
    return ch
  }

  /** Either one range or a list of characters, never both. */
  #class(): string {
    let not = ''
    if (this.#points[this.#at] === '!') {
      not = '^'
      this.#at++
    }
    const low = this.#take()
    if (this.#points[this.#at] === '-') {
      this.#at++
      const high = this.#take()
      if (this.#take() !== ']') throw new BuiltinError('expected close range character')
      if ((high.codePointAt(0) ?? 0) < (low.codePointAt(0) ?? 0)) {
        throw new BuiltinError(`hi character '${high}' should be greater than lo '${low}'`)
      }
      return `[${not}${quoteInClass(low)}-${quoteInClass(high)}]`
    }
    let list = ''
    for (let ch = low; ch !== ']'; ch = this.#take()) list += quoteInClass(ch === '\\' ? this.#take() : ch)
    if (list === '') throw new BuiltinError('empty character class')
    return `[${not}${list}]`
  }

  /** One that is never closed ends with the pattern. */
  #alternatives(): string {
    if (++this.#depth > MAX_NESTING) throw new BuiltinError('nested too deeply')
    const out: string[] = []
    do out.push(this.read(true))
    while (this.#points[this.#at++] === ',')
    this.#depth--
    return `(?:${out.join('|')})`
  }
}

function quote(ch: string): string {
  return /[\\.+*?()|[\]{}^$]/.test(ch) ? `\\${ch}` : ch
}

function quoteInClass(ch: string): string {
  return /[\\\]^[-]/.test(ch) ? `\\${ch}` : ch
}

function compileGlob(pattern: string, delimiters: readonly string[]): GlobMatcher {
  // each delimiter is one character; `\0` cannot be in two places of this key at once
  return compiled.get(`${delimiters.join('')}\0${pattern}`, () => {
    const simple = simpleGlob(pattern, delimiters)
    if (simple !== undefined) return simple
    const re = RE2JS.compile(`(?s)^(?:${new GlobReader(pattern, delimiters).read(false)})$`)
    return (s) => re.test(s)
  })
}

/**
 * Text without or with one star needs no engine. Between two texts, Go's library only looks at both ends for an unbounded star, and
 * they may overlap: `a:**:c` matches "a:c". Policies are written against that.
 */
function simpleGlob(pattern: string, delimiters: readonly string[]): GlobMatcher | undefined {
  const m = /^([^*?\\[\]{}]*)(\**)([^*?\\[\]{}]*)$/.exec(pattern)
  // half a character would be found within a whole one
  if (m === null || ![pattern, ...delimiters].every((text) => text.isWellFormed())) return undefined
  const [, prefix = '', star = '', suffix = ''] = m
  if (star === '') return (s) => s === pattern
  const hasEnds: GlobMatcher = (s) => s.startsWith(prefix) && s.endsWith(suffix)
  if (star.length > 1 || delimiters.length === 0) return hasEnds
  const least = prefix.length + suffix.length
  const isWithin = (s: string, at: number): boolean => at >= 0 && at < s.length - suffix.length
  const hasDelimiter: GlobMatcher = (s) => delimiters.some((d) => d !== '' && isWithin(s, s.indexOf(d, prefix.length)))
  return (s) => s.length >= least && hasEnds(s) && !hasDelimiter(s)
}

/** The test for a pattern. @throws {BuiltinError} */
export function globMatcher(pattern: string, delimiters: Value): GlobMatcher {
  return compileGlob(pattern, takeDelimiters(delimiters))
}

/** No delimiters given means `.`; null means none. */
function match(ctx: BuiltinContext, pattern: string, delimiters: Value, s: string): Value {
  ctx.spend(1 + (s.length >> 4))
  return compileGlob(pattern, takeDelimiters(delimiters))(s)
}

function takeDelimiters(v: Value): readonly string[] {
  if (v === null) return []
  if (!isArray(v)) throw operandError(2, 'one of {null, array}', typeName(v))
  const characters = takeStrings(v, 2).map((d) => codePoints(d)[0] ?? '')
  return characters.length === 0 ? ['.'] : characters
}

const delimitersOperand = declared(O.any, T.oneOf(T.null, T.array(T.string)))

export const GLOB: readonly Builtin[] = [
  define('glob.match', [O.string, delimitersOperand, O.string], T.boolean, match),
  define('glob.quote_meta', [O.string], T.string, (_, s) => s.replaceAll(/[*?\\[\]{}]/g, String.raw`\$&`)),
]
