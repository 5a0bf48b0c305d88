import { MatcherInput, RE2JS, RE2JSException, type Matcher } from 're2js'
import { joinKeptBytes, type NumberValue, type Value } from '../value/index.ts'
import { BoundedCache } from './bounded-cache.ts'
import { codePoints } from './code-points.ts'
import { BuiltinError, succeeds, type Builtin, type BuiltinContext } from './contract.ts'
import { CountedText } from './counted-text.ts'
import { define, O, takeInteger } from './define.ts'
import { globsIntersect } from './globs-intersect.ts'
import { T } from './types.ts'

/** Patterns and texts come from claims: only an engine that is linear in the text may see them, never V8's. */
const compiled = new BoundedCache<RE2JS>(256)

export function compileRegex(pattern: string): RE2JS {
  return compiled.get(pattern, (p) => {
    try {
      return RE2JS.compile(p)
    } catch (error) {
      if (error instanceof RE2JSException) throw new BuiltinError(error.message, 'eval_builtin_error', { cause: error })
      throw error
    }
  })
}

/** Where a match and its groups lie; a group that took no part has start -1. */
type Span = { readonly start: number; readonly end: number; readonly groups: ReadonlyArray<readonly [number, number]> }

function spanOf(m: Matcher): Span {
  const groups: Array<readonly [number, number]> = []
  for (let g = 0; g <= m.groupCount(); g++) groups.push([m.start(g), m.end(g)])
  return { start: m.start(0), end: m.end(0), groups }
}

function pointWidth(s: string, at: number): number {
  return (s.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

/** Finds the next match at or after a place. What it looks at on the way is spent. */
function search(ctx: BuiltinContext, re: RE2JS, s: string): (at: number) => Matcher | undefined {
  const text = new CountedText(s)
  const m = re.matcher(MatcherInput.utf16(text))
  return (at) => {
    const found = m.find(at)
    spendOnMatch(ctx, re, text.takeLooks())
    return found ? m : undefined
  }
}

/** Matches from left to right without overlap; an empty match right behind another match does not count. */
function* matches(ctx: BuiltinContext, re: RE2JS, s: string): Generator<Span> {
  const next = search(ctx, re, s)
  let previousEnd = -1
  for (let at = 0; at <= s.length;) {
    const m = next(at)
    if (m === undefined) return
    const span = spanOf(m)
    const empty = span.end === at
    at = empty ? at + pointWidth(s, at) : span.end
    if (!empty || span.start !== previousEnd) yield span
    previousEnd = span.end
  }
}

function first<V>(all: Iterable<V>, n: NumberValue, position: number): V[] {
  const most = takeInteger(n, position)
  const out: V[] = []
  if (most === 0) return out
  for (const v of all) {
    out.push(v)
    if (out.length === most) break
  }
  return out
}

function replace(ctx: BuiltinContext, s: string, pattern: string, template: string): Value {
  const re = compileRegex(pattern)
  const names = re.namedGroups()
  const pieces = parseTemplate(template)
  const next = search(ctx, re, s)
  let out = ''
  let done = 0
  for (let at = 0; at <= s.length;) {
    const m = next(at)
    if (m === undefined) break
    const span = spanOf(m)
    out += s.slice(done, span.start)
    if (span.end > done || span.start === 0) out += expand(pieces, s, span, names)
    ctx.reserve(out.length)
    done = span.end
    at = Math.max(span.end, at + pointWidth(s, at))
  }
  return joinKeptBytes(out + s.slice(done))
}

type Piece = { readonly text: string } | { readonly group: string }

/** `$1`, `${1}`, `$name`, `${name}`, `$$`; a name takes all word characters that follow. */
function parseTemplate(template: string): readonly Piece[] {
  const out: Piece[] = []
  const piece = /\$(?:(\$)|\{(\w+)\}|(\w+))/g
  let done = 0
  for (const m of template.matchAll(piece)) {
    out.push({ text: template.slice(done, m.index) })
    out.push(m[1] === undefined ? { group: m[2] ?? m[3] ?? '' } : { text: '$' })
    done = m.index + m[0].length
  }
  out.push({ text: template.slice(done) })
  return out
}

function expand(pieces: readonly Piece[], s: string, span: Span, names: Readonly<Record<string, number>>): string {
  return pieces.map((p) => ('text' in p ? p.text : groupText(p.group, s, span, names))).join('')
}

function groupText(group: string, s: string, span: Span, names: Readonly<Record<string, number>>): string {
  const index = /^\d+$/.test(group) ? Number(group) : Object.hasOwn(names, group) ? names[group] : undefined
  return index === undefined ? '' : groupAt(s, span, index)
}

function groupAt(s: string, span: Span, index: number): string {
  const [start, end] = span.groups[index] ?? [-1, -1]
  return start < 0 ? '' : s.slice(start, end)
}

function split(ctx: BuiltinContext, pattern: string, s: string): Value {
  const re = compileRegex(pattern)
  if (pattern !== '' && s === '') return ['']
  const out: string[] = []
  let begin = 0
  let end = 0
  for (const span of matches(ctx, re, s)) {
    end = span.start
    if (span.end !== 0) out.push(s.slice(begin, end))
    begin = span.end
  }
  if (end !== s.length) out.push(s.slice(begin))
  return out
}

/** A text whose parts between delimiters are patterns, the rest meant literally; both may nest. */
function templatePattern(template: string, open: string, close: string): string {
  let out = '^'
  let depth = 0
  let from = 0
  for (let i = 0; i < template.length; i++) {
    const ch = template.charAt(i)
    if (ch === open) {
      if (depth++ === 0) {
        out += quoteMeta(template.slice(from, i))
        from = i + 1
      }
    } else if (ch === close) {
      if (--depth === 0) {
        out += `(${template.slice(from, i)})`
        from = i + 1
      } else if (depth < 0) break
    }
  }
  if (depth !== 0) throw new BuiltinError(`unbalanced braces in ${JSON.stringify(template)}`)
  return `${out}${quoteMeta(template.slice(from))}$`
}

function quoteMeta(s: string): string {
  return s.replaceAll(/[\\.+*?()|[\]{}^$]/g, String.raw`\$&`)
}

function templateMatch(ctx: BuiltinContext, template: string, s: string, open: string, close: string): Value {
  if (codePoints(open).length !== 1) throw new BuiltinError('start delimiter has to be exactly one character long')
  if (codePoints(close).length !== 1) throw new BuiltinError('end delimiter has to be exactly one character long')
  return match(ctx, templatePattern(template, open, close), s)
}

function isValid(pattern: Value): boolean {
  return typeof pattern === 'string' && succeeds(() => compileRegex(pattern))
}

/** What matching may cost: text times pattern. Most patterns cost less. */
function spendOnMatch(ctx: BuiltinContext, re: RE2JS, looks: number): void {
  ctx.spend(1 + Math.ceil((looks * re.programSize()) / 4))
}

function match(ctx: BuiltinContext, pattern: string, s: string): Value {
  const re = compileRegex(pattern)
  spendOnMatch(ctx, re, s.length)
  return re.test(s)
}

const validOperand = { decl: T.string, take: (v: Value) => v }

export const REGEX: readonly Builtin[] = [
  define('regex.match', [O.string, O.string], T.boolean, match),
  define('re_match', [O.string, O.string], T.boolean, match, { deprecated: true }),
  define('regex.is_valid', [validOperand], T.boolean, (_, pattern) => isValid(pattern)),
  define('regex.replace', [O.string, O.string, O.string], T.string, replace),
  define('regex.split', [O.string, O.string], T.array(T.string), split),
  define('regex.find_n', [O.string, O.string, O.number], T.array(T.string), (ctx, pattern, s, n) =>
    first(matches(ctx, compileRegex(pattern), s), n, 3).map((span) => s.slice(span.start, span.end)),
  ),
  define(
    'regex.find_all_string_submatch_n',
    [O.string, O.string, O.number],
    T.array(T.array(T.string)),
    (ctx, pattern, s, n) =>
      first(matches(ctx, compileRegex(pattern), s), n, 3).map((span) => span.groups.map((_, g) => groupAt(s, span, g))),
  ),
  define('regex.template_match', [O.string, O.string, O.string, O.string], T.boolean, templateMatch),
  define('regex.globs_match', [O.string, O.string], T.boolean, (ctx, a, b) => globsIntersect(ctx, a, b)),
]
