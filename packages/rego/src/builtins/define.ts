import {
  isArray,
  isNumber,
  isObject,
  isSet,
  numberToBigInt,
  numberToSafeInteger,
  typeName,
  type NumberValue,
  type RegoMap,
  type RegoRecord,
  type RegoSet,
  type Value,
} from '../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { T, type TypeDecl } from './types.ts'

/** What one operand must be: a declared type and the check that a call makes. */
export interface Operand<V extends Value> {
  readonly decl: TypeDecl
  /** Throws the operand error if `v` is not a `V`. */
  readonly take: (v: Value, position: number) => V
}

type Taken<A extends readonly Operand<Value>[]> = {
  [K in keyof A]: A[K] extends Operand<infer V> ? V : never
}

/** `operand N must be T but got U`; undefined in normal mode, `eval_type_error` in strict mode. */
export function operandError(position: number, expected: string, got: string): BuiltinError {
  return new BuiltinError(`operand ${position} must be ${expected} but got ${got}`, 'eval_type_error')
}

/** A type error with other words about an operand. */
export function operandProblem(position: number, problem: string): BuiltinError {
  return new BuiltinError(`operand ${position} ${problem}`, 'eval_type_error')
}

function operand<V extends Value>(decl: TypeDecl, expected: string, test: (v: Value) => boolean): Operand<V> {
  return {
    decl,
    take: (v, position) => {
      if (!test(v)) throw operandError(position, expected, typeName(v))
      return v as V
    },
  }
}

const anything: Operand<Value> = { decl: T.any, take: (v) => v }

/** Operands by the type that they must have. */
export const O = {
  any: anything,
  string: operand<string>(T.string, 'string', (v) => typeof v === 'string'),
  number: operand<NumberValue>(T.number, 'number', isNumber),
  boolean: operand<boolean>(T.boolean, 'boolean', (v) => typeof v === 'boolean'),
  array: operand<readonly Value[]>(T.array(), 'array', isArray),
  set: operand<RegoSet>(T.set(), 'set', isSet),
  object: operand<RegoRecord | RegoMap>(T.object(), 'object', isObject),
  /** An array or a set. */
  collection: operand<readonly Value[] | RegoSet>(
    T.oneOf(T.array(), T.set()),
    'one of {set, array}',
    (v) => isArray(v) || isSet(v),
  ),
} as const

/** The same check under another declared type. */
export function declared<V extends Value>(of: Operand<V>, decl: TypeDecl): Operand<V> {
  return { decl, take: of.take }
}

/** Any of several types; `expected` as OPA words it, for example `{object, set, array}`. */
export function oneOf<V extends Value>(decl: TypeDecl, expected: string, test: (v: Value) => boolean): Operand<V> {
  return operand<V>(decl, `one of ${expected}`, test)
}

/** An integer of any size; `1.0` counts. */
export function takeBigInt(v: NumberValue, position: number): bigint {
  const n = numberToBigInt(v)
  if (n === undefined) throw operandProblem(position, 'must be integer number but got floating-point number')
  return n
}

/** An integer that fits a `number`. */
export function takeInteger(v: NumberValue, position: number): number {
  const n = numberToSafeInteger(v)
  if (n !== undefined) return n
  takeBigInt(v, position)
  throw operandProblem(position, 'must be a smaller integer')
}

/** The strings of an array or set, a set in no particular order; the error tells what else was inside. */
export function takeStrings(v: readonly Value[] | RegoSet, position: number): readonly string[] {
  const out: string[] = []
  for (const x of v) {
    if (typeof x !== 'string') {
      const kind = isArray(v) ? 'array' : 'set'
      throw operandError(position, `${kind} of strings`, `${kind} containing ${typeName(x)}`)
    }
    out.push(x)
  }
  return out
}

export type Marks = Partial<
  Pick<Builtin, 'infix' | 'deprecated' | 'nondeterministic' | 'relation' | 'host' | 'compiled'>
>

/** A built-in whose operands are checked before `impl` sees them. */
export function define<const A extends readonly Operand<Value>[]>(
  name: string,
  operands: A,
  result: TypeDecl,
  impl: (ctx: BuiltinContext, ...args: Taken<A>) => Value | undefined,
  marks: Marks = {},
): Builtin {
  const untyped = impl as unknown as (ctx: BuiltinContext, ...args: Value[]) => Value | undefined
  return {
    name,
    decl: { args: operands.map((o) => o.decl), result },
    ...marks,
    call: callWith(operands, untyped),
  }
}

function callWith(
  operands: readonly Operand<Value>[],
  impl: (ctx: BuiltinContext, ...args: Value[]) => Value | undefined,
): Builtin['call'] {
  const [first, second] = operands
  // most built-ins take one or two operands: spare those the array
  if (first === undefined) return (ctx) => impl(ctx)
  if (second === undefined) return (ctx, a) => impl(ctx, first.take(a as Value, 1))
  if (operands.length === 2) return (ctx, a, b) => impl(ctx, first.take(a as Value, 1), second.take(b as Value, 2))
  return (ctx, ...args) => impl(ctx, ...operands.map((o, i) => o.take(args[i] as Value, i + 1)))
}
