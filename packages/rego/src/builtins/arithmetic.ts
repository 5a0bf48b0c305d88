import {
  isNumber,
  isSet,
  numberFromBigInt,
  numberToBigInt,
  RegoSet,
  typeName,
  type NumberValue,
  type Value,
} from '../value/index.ts'
import {
  addExtended,
  divideExtended,
  multiplyExtended,
  NumberRangeError,
  roundExtended,
  subtractExtended,
} from '../value/extended.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O, operandError, operandProblem, takeBigInt } from './define.ts'
import { T } from './types.ts'

type Exact = (a: bigint, b: bigint) => bigint
type Inexact = (a: NumberValue, b: NumberValue) => NumberValue

/** A failure of range is a failure of the built-in, not of the engine. */
export function inRange<R>(compute: () => R): R {
  try {
    return compute()
  } catch (error) {
    if (error instanceof NumberRangeError) throw new BuiltinError(error.message, 'eval_builtin_error', { cause: error })
    throw error
  }
}

function combine(a: NumberValue, b: NumberValue, exact: Exact, inexact: Inexact): NumberValue {
  const x = numberToBigInt(a)
  const y = numberToBigInt(b)
  if (x !== undefined && y !== undefined) return numberFromBigInt(exact(x, y))
  return inRange(() => inexact(a, b))
}

/** a + b: exact on integers, 64-bit floats otherwise. */
export function add(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isSafeInteger(sum) && Number.isInteger(a) && Number.isInteger(b)) return sum
  }
  return combine(a, b, (x, y) => x + y, addExtended)
}

/** a - b: exact on integers, 64-bit floats otherwise. */
export function subtract(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (Number.isSafeInteger(difference) && Number.isInteger(a) && Number.isInteger(b)) return difference
  }
  return combine(a, b, (x, y) => x - y, subtractExtended)
}

/** a × b: exact on integers, 64-bit floats otherwise. */
export function multiply(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    // + 0 turns -0 into 0
    if (Number.isSafeInteger(product) && Number.isInteger(a) && Number.isInteger(b)) return product + 0
  }
  return combine(a, b, (x, y) => x * y, multiplyExtended)
}

function remainder(a: NumberValue, b: NumberValue): NumberValue {
  const x = numberToBigInt(a)
  const y = numberToBigInt(b)
  if (x === undefined || y === undefined) throw new BuiltinError('modulo on floating-point number')
  if (y === 0n) throw new BuiltinError('modulo by zero')
  return numberFromBigInt(x % y)
}

function divide(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === 'number' && typeof b === 'number' && b !== 0) {
    const quotient = a / b
    if (Number.isSafeInteger(quotient) && Number.isInteger(a) && Number.isInteger(b) && quotient * b === a) {
      return quotient + 0
    }
  }
  const result = inRange(() => divideExtended(a, b))
  if (result === undefined) throw new BuiltinError('divide by zero')
  return result
}

function difference(a: RegoSet, b: RegoSet): RegoSet {
  const out = new RegoSet()
  for (const v of a) if (!b.has(v)) out.add(v)
  return out
}

function minus(ctx: BuiltinContext, a: Value, b: Value): Value {
  if (isNumber(a)) {
    if (!isNumber(b)) throw operandError(2, 'number', typeName(b))
    return subtract(a, b)
  }
  if (!isSet(a)) throw operandError(1, 'one of {number, set}', typeName(a))
  if (!isSet(b)) throw operandError(2, 'set', typeName(b))
  ctx.spend(a.size)
  return difference(a, b)
}

function rounded(how: 'floor' | 'ceil' | 'half-away') {
  return (_: BuiltinContext, v: NumberValue): Value =>
    typeof v === 'number' && Number.isInteger(v) ? v : numberFromBigInt(inRange(() => roundExtended(v, how)))
}

function abs(_: BuiltinContext, v: NumberValue): Value {
  const integer = numberToBigInt(v)
  if (integer !== undefined) return numberFromBigInt(integer < 0n ? -integer : integer)
  return inRange(() => (isNegative(v) ? subtractExtended(0, v) : addExtended(v, 0)))
}

function isNegative(v: NumberValue): boolean {
  return typeof v === 'object' ? v.text.startsWith('-') : v < 0
}

const MAX_SHIFT = 1_000_000n

function shiftBy(v: NumberValue): bigint {
  const n = takeBigInt(v, 2)
  if (n < 0n) throw operandProblem(2, 'must be an unsigned integer number but got a negative integer')
  if (n > MAX_SHIFT) throw operandProblem(2, `must be at most ${MAX_SHIFT}`)
  return n
}

function bits(name: string, combineBits: Exact): Builtin {
  return define(name, [O.number, O.number], T.number, (_, a, b) =>
    numberFromBigInt(combineBits(takeBigInt(a, 1), takeBigInt(b, 2))),
  )
}

/** `from`, then every `by`, until past `to`. */
function range(ctx: BuiltinContext, from: bigint, to: bigint, by: bigint): Value {
  const up = from <= to
  const length = (up ? to - from : from - to) / by + 1n
  ctx.reserve(length > 0xffffffffn ? Infinity : Number(length))
  ctx.spend(Number(length))
  const out: Value[] = []
  for (let n = from; up ? n <= to : n >= to; n += up ? by : -by) out.push(numberFromBigInt(n))
  return out
}

const numberOrSet = T.oneOf(T.number, T.set())

export const ARITHMETIC: readonly Builtin[] = [
  define('plus', [O.number, O.number], T.number, (_, a, b) => add(a, b), { infix: '+' }),
  define('minus', [declared(O.any, numberOrSet), declared(O.any, numberOrSet)], numberOrSet, minus, { infix: '-' }),
  define('mul', [O.number, O.number], T.number, (_, a, b) => multiply(a, b), { infix: '*' }),
  define('div', [O.number, O.number], T.number, (_, a, b) => divide(a, b), { infix: '/' }),
  define('rem', [O.number, O.number], T.number, (_, a, b) => remainder(a, b), { infix: '%' }),
  define('abs', [O.number], T.number, abs),
  define('round', [O.number], T.number, rounded('half-away')),
  define('ceil', [O.number], T.number, rounded('ceil')),
  define('floor', [O.number], T.number, rounded('floor')),
  define('numbers.range', [O.number, O.number], T.array(T.number), (ctx, a, b) =>
    range(ctx, takeBigInt(a, 1), takeBigInt(b, 2), 1n),
  ),
  define('numbers.range_step', [O.number, O.number, O.number], T.array(T.number), (ctx, a, b, step) => {
    const by = takeBigInt(step, 3)
    if (by <= 0n) throw new BuiltinError('numbers.range_step: step must be a positive integer')
    return range(ctx, takeBigInt(a, 1), takeBigInt(b, 2), by)
  }),
  bits('bits.and', (a, b) => a & b),
  bits('bits.or', (a, b) => a | b),
  bits('bits.xor', (a, b) => a ^ b),
  define('bits.negate', [O.number], T.number, (_, a) => numberFromBigInt(~takeBigInt(a, 1))),
  define('bits.lsh', [O.number, O.number], T.number, (_, a, n) => numberFromBigInt(takeBigInt(a, 1) << shiftBy(n))),
  define('bits.rsh', [O.number, O.number], T.number, (_, a, n) => numberFromBigInt(takeBigInt(a, 1) >> shiftBy(n))),
]
