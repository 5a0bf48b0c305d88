import { isArray, isSet, RegoSet, typeName, type NumberValue, type Value } from '../value/index.ts'
import type { Builtin, BuiltinContext } from './contract.ts'
import { declared, define, O, operandError, takeBigInt } from './define.ts'
import { T } from './types.ts'

function concat(ctx: BuiltinContext, a: readonly Value[], b: readonly Value[]): Value {
  ctx.reserve(a.length + b.length)
  ctx.spend(a.length + b.length)
  return [...a, ...b]
}

/** Bounds outside the array mean its ends. */
function slice(ctx: BuiltinContext, a: readonly Value[], from: NumberValue, to: NumberValue): Value {
  const start = clamp(takeBigInt(from, 2), a.length)
  const end = clamp(takeBigInt(to, 3), a.length)
  ctx.spend(Math.max(0, end - start))
  return a.slice(start, Math.max(start, end))
}

function clamp(n: bigint, length: number): number {
  return n < 0n ? 0 : n > BigInt(length) ? length : Number(n)
}

function union(ctx: BuiltinContext, sets: Iterable<RegoSet>): RegoSet {
  const out = new RegoSet()
  for (const set of sets) {
    ctx.spend(set.size)
    for (const v of set) out.add(v)
  }
  return out
}

function intersection(ctx: BuiltinContext, sets: readonly RegoSet[]): RegoSet {
  const out = new RegoSet()
  const [first, ...rest] = sets
  if (first === undefined) return out
  ctx.spend(first.size * sets.length)
  for (const v of first) if (rest.every((set) => set.has(v))) out.add(v)
  return out
}

function difference(ctx: BuiltinContext, a: RegoSet, b: RegoSet): RegoSet {
  const out = new RegoSet()
  ctx.spend(a.size)
  for (const v of a) if (!b.has(v)) out.add(v)
  return out
}

function setsIn(v: RegoSet): RegoSet[] {
  return [...v].map((x) => {
    if (!isSet(x)) throw operandError(1, 'set of sets', `set containing ${typeName(x)}`)
    return x
  })
}

const setOfSets = declared(O.set, T.set(T.set()))

export const COLLECTIONS: readonly Builtin[] = [
  define('array.concat', [O.array, O.array], T.array(), concat),
  define('array.slice', [O.array, O.number, O.number], T.array(), slice),
  define('array.reverse', [O.array], T.array(), (ctx, a) => {
    ctx.spend(a.length)
    return a.toReversed()
  }),
  define('array.flatten', [O.array], T.array(), (ctx, a) => {
    ctx.spend(a.reduce<number>((n, x) => n + (isArray(x) ? x.length : 1), 0))
    return a.flatMap((x) => x)
  }),
  define('and', [O.set, O.set], T.set(), (ctx, a, b) => intersection(ctx, a.size <= b.size ? [a, b] : [b, a]), {
    infix: '&',
  }),
  define('or', [O.set, O.set], T.set(), (ctx, a, b) => union(ctx, [a, b]), { infix: '|' }),
  define('intersection', [setOfSets], T.set(), (ctx, v) => intersection(ctx, setsIn(v))),
  define('union', [setOfSets], T.set(), (ctx, v) => union(ctx, setsIn(v))),
  define('set_diff', [O.set, O.set], T.set(), difference, { deprecated: true }),
]
