import {
  compare,
  isArray,
  isNumber,
  isObject,
  isSet,
  objectSize,
  sortedElements,
  sortValues,
  typeName,
  type NumberValue,
  type RegoMap,
  type RegoRecord,
  type RegoSet,
  type Value,
} from '../value/index.ts'
import { add, multiply } from './arithmetic.ts'
import type { Builtin, BuiltinContext } from './contract.ts'
import { codePointLength } from './code-points.ts'
import { declared, define, O, oneOf, operandError } from './define.ts'
import { T } from './types.ts'

const countable = oneOf<string | readonly Value[] | RegoSet | RegoRecord | RegoMap>(
  T.oneOf(T.string, T.array(), T.object(), T.set()),
  '{array, object, set, string}',
  (v) => typeof v === 'string' || isArray(v) || isSet(v) || isObject(v),
)

const collectionOfNumbers = declared(O.collection, T.oneOf(T.array(T.number), T.set(T.number)))
const collectionOfAny = declared(O.collection, T.oneOf(T.array(), T.set()))

function fold(
  v: readonly Value[] | RegoSet,
  start: NumberValue,
  join: (a: NumberValue, b: NumberValue) => NumberValue,
) {
  let out = start
  for (const x of isArray(v) ? v : sortedElements(v)) {
    if (!isNumber(x)) {
      const kind = isArray(v) ? 'array' : 'set'
      throw operandError(1, `${kind} of numbers`, `${kind} containing ${typeName(x)}`)
    }
    out = join(out, x)
  }
  return out
}

/** Of equal values the later one counts: max([1, 1.0]) is 1.0. */
function extreme(v: readonly Value[] | RegoSet, wins: (order: number) => boolean): Value | undefined {
  let best: Value | undefined
  for (const x of v) if (best === undefined || wins(compare(x, best))) best = x
  return best
}

function sort(ctx: BuiltinContext, v: readonly Value[] | RegoSet): Value {
  ctx.spend(isArray(v) ? v.length : v.size)
  return isArray(v) ? sortValues([...v]) : sortedElements(v)
}

function everyTrue(v: readonly Value[] | RegoSet): boolean {
  for (const x of v) if (x !== true) return false
  return true
}

export const AGGREGATES: readonly Builtin[] = [
  define('count', [countable], T.number, (_, v) => {
    if (typeof v === 'string') return codePointLength(v)
    return isArray(v) ? v.length : isSet(v) ? v.size : objectSize(v)
  }),
  define('sum', [collectionOfNumbers], T.number, (ctx, v) => {
    ctx.spend(isArray(v) ? v.length : v.size)
    return fold(v, 0, add)
  }),
  define('product', [collectionOfNumbers], T.number, (ctx, v) => {
    ctx.spend(isArray(v) ? v.length : v.size)
    return fold(v, 1, multiply)
  }),
  define('max', [collectionOfAny], T.any, (_, v) => extreme(v, (order) => order >= 0)),
  define('min', [collectionOfAny], T.any, (_, v) => extreme(v, (order) => order <= 0)),
  define('sort', [collectionOfAny], T.array(), sort),
  define('all', [collectionOfAny], T.boolean, (_, v) => everyTrue(v), { deprecated: true }),
  define('any', [collectionOfAny], T.boolean, (_, v) => (isArray(v) ? v.includes(true) : v.has(true)), {
    deprecated: true,
  }),
]
