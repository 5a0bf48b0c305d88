import { codePoints } from './code-points.ts'
import { BuiltinError, type BuiltinContext } from './contract.ts'

/** One place of a simple pattern: which characters fit, and whether it may be skipped or repeated. */
type Token = {
  readonly ranges: ReadonlyArray<readonly [number, number]>
  readonly optional: boolean
  readonly repeats: boolean
}

const ANY: ReadonlyArray<readonly [number, number]> = [[0, 0x10ffff]]

/** Is there a text that both patterns match? They know characters, `.`, sets `[a-z]`, `*`, `+` and `\`. */
export function globsIntersect(ctx: BuiltinContext, a: string, b: string): boolean {
  const x = tokens(a)
  const y = tokens(b)
  const seen = new Set<number>()
  const queue: Array<readonly [number, number]> = [[0, 0]]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const [i, j] = at
    const key = i * (y.length + 1) + j
    if (seen.has(key)) continue
    seen.add(key)
    ctx.spend(1)
    if (i === x.length && j === y.length) return true
    queue.push(...steps(x, y, i, j))
  }
  return false
}

function steps(x: readonly Token[], y: readonly Token[], i: number, j: number): Array<readonly [number, number]> {
  const p = x[i]
  const q = y[j]
  const out: Array<readonly [number, number]> = []
  if (p?.optional === true) out.push([i + 1, j])
  if (q?.optional === true) out.push([i, j + 1])
  if (p === undefined || q === undefined || !overlap(p, q)) return out
  out.push([i + 1, j + 1])
  if (p.repeats) out.push([i, j + 1])
  if (q.repeats) out.push([i + 1, j])
  return out
}

function overlap(p: Token, q: Token): boolean {
  return p.ranges.some(([a, b]) => q.ranges.some(([c, d]) => a <= d && c <= b))
}

function bad(input: string, position: number, what: string): BuiltinError {
  return new BuiltinError(`input:${input}, pos:${position}, ${what}: the input provided is invalid`)
}

function tokens(pattern: string): readonly Token[] {
  const points = codePoints(pattern)
  const out: Token[] = []
  for (let i = 0; i < points.length;) {
    const [ranges, next] = placeAt(pattern, points, i)
    const flag = points[next]
    const starred = flag === '*'
    const repeats = starred || flag === '+'
    out.push({ ranges, optional: starred, repeats })
    i = repeats ? next + 1 : next
  }
  return out
}

function placeAt(
  pattern: string,
  points: readonly string[],
  i: number,
): readonly [ReadonlyArray<readonly [number, number]>, number] {
  const ch = points[i] ?? ''
  if (ch === '.') return [ANY, i + 1]
  if (ch === '[') return setAt(pattern, points, i + 1)
  if (ch === ']') throw bad(pattern, i + 1, "set-close ']' with no preceding '['")
  if (ch === '*' || ch === '+') throw bad(pattern, i + 1, `flag '${ch}' must be preceded by a non-flag`)
  const meant = ch === '\\' ? points[i + 1] : ch
  if (meant === undefined) throw bad(pattern, i + 1, "'\\' at the end")
  return [[[point(meant), point(meant)]], ch === '\\' ? i + 2 : i + 1]
}

function setAt(
  pattern: string,
  points: readonly string[],
  from: number,
): readonly [ReadonlyArray<readonly [number, number]>, number] {
  const ranges: Array<readonly [number, number]> = []
  for (let i = from; i < points.length;) {
    if (points[i] === ']') {
      if (ranges.length === 0) throw bad(pattern, i + 1, 'empty set')
      return [ranges, i + 1]
    }
    const escaped = points[i] === '\\'
    const low = points[escaped ? i + 1 : i]
    i += escaped ? 2 : 1
    if (low === undefined) break
    const isRange = points[i] === '-' && points[i + 1] !== undefined && points[i + 1] !== ']'
    const high = isRange ? (points[i + 1] ?? low) : low
    if (isRange) i += 2
    if (point(high) < point(low)) throw bad(pattern, i, 'range is out of order')
    ranges.push([point(low), point(high)])
  }
  throw bad(pattern, points.length, "set-open '[' is never closed")
}

function point(ch: string): number {
  return ch.codePointAt(0) ?? 0
}
