import {
  bytesToText,
  compareText,
  isArray,
  isSet,
  joinKeptBytes,
  numberToBigInt,
  objectEntries,
  type RegoSet,
  textToBytes,
  type NumberValue,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { roundExtended } from '../value/extended.ts'
import { inRange } from './arithmetic.ts'
import { lower, upper } from './case-mapping.ts'
import { codePointLength, codePoints, codePointsBefore, isFlat } from './code-points.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O, oneOf, operandProblem, takeBigInt, takeInteger, takeStrings } from './define.ts'
import { sprintf } from './go-format.ts'
import { T } from './types.ts'

/**
 * Searching and cutting work on UTF-16 units. That is right as long as what is searched for is well-formed: it then starts
 * and ends where characters do. Bytes that are not UTF-8 are lone surrogates, which could match half of a pair: with those
 * in `wanted`, one unit per byte is used instead.
 */
function onBytes<R>(
  wanted: string,
  texts: readonly string[],
  work: (texts: readonly string[]) => R,
  back: (r: R) => R,
): R {
  return wanted.isWellFormed() ? work(texts) : back(work(texts.map(toByteUnits)))
}

function toByteUnits(s: string): string {
  return Array.from(textToBytes(s), (b) => String.fromCharCode(b)).join('')
}

function fromByteUnits(s: string): string {
  return bytesToText(Uint8Array.from(s, (ch) => ch.charCodeAt(0)))
}

function search(s: string, wanted: string, test: (s: string, wanted: string) => boolean): boolean {
  return wanted.isWellFormed() ? test(s, wanted) : test(toByteUnits(s), toByteUnits(wanted))
}

function cut(wanted: string, texts: readonly string[], work: (texts: readonly string[]) => string): string {
  return joinKeptBytes(onBytes(wanted, texts, work, fromByteUnits))
}

function splitText(ctx: BuiltinContext, s: string, separator: string): readonly string[] {
  ctx.reserve(s.length)
  if (separator === '') return codePoints(s)
  return onBytes<readonly string[]>(
    separator,
    [s, separator],
    ([x = '', y = '']) => x.split(y),
    (parts) => parts.map(fromByteUnits),
  )
}

/** The first `n` parts, or the last -n. */
function splitN(ctx: BuiltinContext, s: string, separator: string, n: NumberValue): Value {
  const count = takeBigInt(n, 3)
  const parts = splitText(ctx, s, separator)
  const most = BigInt(parts.length)
  if (count >= most || -count >= most) return parts
  return count >= 0n ? parts.slice(0, Number(count)) : parts.slice(Number(count))
}

function replaceText(ctx: BuiltinContext, s: string, from: string, to: string): string {
  if (from === '') {
    const points = codePoints(s)
    ctx.reserve(s.length + (points.length + 1) * to.length)
    return joinKeptBytes(to + points.map((ch) => ch + to).join(''))
  }
  return cut(from, [s, from, to], ([x = '', y = '', z = '']) => {
    const parts = x.split(y)
    ctx.reserve(x.length + (parts.length - 1) * z.length)
    return parts.join(z)
  })
}

/** Replaces all patterns in one pass; at each place the first pattern in order of text wins. */
function replaceN(ctx: BuiltinContext, patterns: RegoRecord | RegoMap, s: string): Value {
  const pairs: string[] = []
  for (const [k, v] of objectEntries(patterns)) {
    if (typeof k !== 'string') throw operandProblem(1, 'non-string key found in pattern object')
    if (typeof v !== 'string') throw operandProblem(1, 'non-string value found in pattern object')
    pairs.push(k, v)
  }
  ctx.spend((s.length * pairs.length) / 2)
  return cut(pairs.join(''), [s, ...pairs], ([text = '', ...flat]) => replaceAtEach(ctx, text, flat))
}

function replaceAtEach(ctx: BuiltinContext, text: string, pairs: readonly string[]): string {
  let out = ''
  let emptyBefore = false
  for (let i = 0; i <= text.length;) {
    const at = pairs.findIndex((p, k) => k % 2 === 0 && (p !== '' || !emptyBefore) && text.startsWith(p, i))
    const from = pairs[at]
    emptyBefore = from === ''
    if (from !== undefined) out += pairs[at + 1] ?? ''
    if (from !== undefined && from !== '') i += from.length
    else if (from === undefined) out += text.charAt(i++)
    ctx.reserve(out.length)
  }
  return out
}

/** A negative length means "to the end". */
function substring(_: BuiltinContext, s: string, offset: NumberValue, length: NumberValue): Value {
  const from = takeInteger(offset, 2)
  const count = takeInteger(length, 3)
  if (from < 0) throw new BuiltinError('negative offset')
  const end = count < 0 ? undefined : from + count
  // cut bytes that are not UTF-8 come out as U+FFFD, as in OPA
  return isFlat(s) ? s.slice(from, end) : codePoints(s.toWellFormed()).slice(from, end).join('')
}

function indexOf(_: BuiltinContext, s: string, wanted: string): Value {
  if (wanted === '') throw new BuiltinError('empty search character')
  return positions(s, wanted, 1)[0] ?? -1
}

/** Where `wanted` starts, in code points; occurrences may overlap. */
function positions(s: string, wanted: string, most: number): number[] {
  const found: number[] = []
  let points = 0
  let from = 0
  while (found.length < most) {
    const at = findFrom(s, wanted, from)
    if (at < 0) break
    points += codePointsBefore(s.slice(from), at - from)
    found.push(points)
    const step = (s.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
    points++
    from = at + step
  }
  return found
}

function findFrom(s: string, wanted: string, from: number): number {
  for (let at = s.indexOf(wanted, from); at >= 0; at = s.indexOf(wanted, at + 1)) {
    const unit = s.charCodeAt(at)
    const before = at > 0 ? s.charCodeAt(at - 1) : 0
    const insidePair = unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff
    if (!insidePair) return at
  }
  return -1
}

function countText(s: string, wanted: string): number {
  if (wanted === '') return codePointLength(s) + 1
  return onBytes(
    wanted,
    [s, wanted],
    ([x = '', y = '']) => x.split(y).length - 1,
    (r) => r,
  )
}

type Side = 'left' | 'right' | 'both'

/** Takes characters of `set` away from the ends. */
function trimSet(s: string, set: string, side: Side): string {
  const characters = new Set(set)
  return trimWhere(s, side, (ch) => characters.has(ch))
}

function trimWhere(s: string, side: Side, drop: (ch: string) => boolean): string {
  const points = codePoints(s)
  let from = 0
  let to = points.length
  if (side !== 'right') while (from < to && drop(points[from] ?? '')) from++
  if (side !== 'left') while (to > from && drop(points[to - 1] ?? '')) to--
  return points.slice(from, to).join('')
}

/** Unicode White_Space, which is what Go trims; JavaScript's `\s` also has U+FEFF and lacks U+0085. */
const WHITE_SPACE = /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/

function reverse(_: BuiltinContext, s: string): Value {
  return joinKeptBytes(codePoints(s).reverse().join(''))
}

const BASES: ReadonlyMap<unknown, number> = new Map([2, 8, 10, 16].map((b) => [b, b]))

function formatInt(_: BuiltinContext, v: NumberValue, base: NumberValue): Value {
  const b = BASES.get(Number(numberToBigInt(base) ?? -1))
  if (b === undefined) throw operandProblem(2, 'must be one of {2, 8, 10, 16}')
  const integer = numberToBigInt(v)
  // fractions are cut towards zero
  const cutOff = integer ?? inRange(() => roundExtended(v, isNegative(v) ? 'ceil' : 'floor'))
  return cutOff.toString(b)
}

function isNegative(v: NumberValue): boolean {
  return typeof v === 'object' ? v.text.startsWith('-') : v < 0
}

const stringsOperand = declared(O.collection, T.oneOf(T.array(T.string), T.set(T.string)))

function concat(ctx: BuiltinContext, separator: string, v: readonly Value[] | RegoSet): Value {
  const parts = isArray(v) ? takeStrings(v, 2) : takeStrings(v, 2).toSorted(compareText)
  ctx.reserve(parts.reduce((n, p) => n + p.length + separator.length, 0))
  return joinKeptBytes(parts.join(separator))
}

const oneOrMany = oneOf<string | readonly Value[] | RegoSet>(
  T.oneOf(T.string, T.array(T.string), T.set(T.string)),
  '{string, set, array}',
  (v) => typeof v === 'string' || isArray(v) || isSet(v),
)

function anyMatch(test: (s: string, part: string) => boolean) {
  return (
    ctx: BuiltinContext,
    a: string | readonly Value[] | RegoSet,
    b: string | readonly Value[] | RegoSet,
  ): Value => {
    const texts = typeof a === 'string' ? [a] : takeStrings(a, 1)
    const parts = typeof b === 'string' ? [b] : takeStrings(b, 2)
    ctx.spend(texts.length * parts.length)
    return texts.some((s) => parts.some((p) => search(s, p, test)))
  }
}

const startsWith = (s: string, part: string): boolean => s.startsWith(part)
const endsWith = (s: string, part: string): boolean => s.endsWith(part)

function two(name: string, test: (a: string, b: string) => boolean): Builtin {
  return define(name, [O.string, O.string], T.boolean, (_, a, b) => search(a, b, test))
}

function trimming(name: string, work: (s: string, other: string) => string): Builtin {
  return define(name, [O.string, O.string], T.string, (_, s, other) => work(s, other))
}

export const STRINGS: readonly Builtin[] = [
  two('startswith', startsWith),
  two('endswith', endsWith),
  two('contains', (s, part) => s.includes(part)),
  define('concat', [O.string, stringsOperand], T.string, concat),
  define('lower', [O.string], T.string, (_, s) => lower(s)),
  define('upper', [O.string], T.string, (_, s) => upper(s)),
  define('split', [O.string, O.string], T.array(T.string), splitText),
  define('replace', [O.string, O.string, O.string], T.string, replaceText),
  define('substring', [O.string, O.number, O.number], T.string, substring),
  define('indexof', [O.string, O.string], T.number, indexOf),
  define('indexof_n', [O.string, O.string], T.array(T.number), (ctx, s, wanted) => {
    if (wanted === '') throw new BuiltinError('empty search character')
    ctx.spend(s.length)
    return positions(s, wanted, Infinity)
  }),
  define('format_int', [O.number, O.number], T.string, formatInt),
  define('sprintf', [O.string, O.array], T.string, sprintf),
  trimming('trim', (s, set) => trimSet(s, set, 'both')),
  trimming('trim_left', (s, set) => trimSet(s, set, 'left')),
  trimming('trim_right', (s, set) => trimSet(s, set, 'right')),
  trimming('trim_prefix', (s, prefix) =>
    prefix !== '' && search(s, prefix, startsWith)
      ? cut(prefix, [s, prefix], ([x = '', y = '']) => x.slice(y.length))
      : s,
  ),
  trimming('trim_suffix', (s, suffix) =>
    suffix !== '' && search(s, suffix, endsWith)
      ? cut(suffix, [s, suffix], ([x = '', y = '']) => x.slice(0, -y.length))
      : s,
  ),
  define('trim_space', [O.string], T.string, (_, s) => trimWhere(s, 'both', (ch) => WHITE_SPACE.test(ch))),
  define('strings.any_prefix_match', [oneOrMany, oneOrMany], T.boolean, anyMatch(startsWith)),
  define('strings.any_suffix_match', [oneOrMany, oneOrMany], T.boolean, anyMatch(endsWith)),
  define('strings.count', [O.string, O.string], T.number, (_, s, wanted) => countText(s, wanted)),
  define('strings.replace_n', [declared(O.object, T.object(T.string, T.string)), O.string], T.string, replaceN),
  define('strings.reverse', [O.string], T.string, reverse),
  define('strings.split_n', [O.string, O.string, O.number], T.array(T.string), splitN),
]
