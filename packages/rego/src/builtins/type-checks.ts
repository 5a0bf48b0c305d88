import {
  isArray,
  isNumber,
  isObject,
  isSet,
  numberFromText,
  RegoSet,
  sortedElements,
  typeName,
  type Value,
} from '../value/index.ts'
import { BuiltinError, type Builtin } from './contract.ts'
import { declared, define, O, operandError, operandProblem } from './define.ts'
import { T, type TypeDecl } from './types.ts'

/** Go's reading of a number; forms that are not JSON (`+1`, `0x10`, `1_000`, `Infinity`) have no value in Rego. */
export function numberOf(text: string): Value {
  if (/^[+-]?(?:inf|infinity|nan)$/i.test(text)) throw operandProblem(1, 'must be a number that JSON can hold')
  const syntax = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/
  const n = syntax.test(text) ? numberFromText(text) : undefined
  if (n === undefined) throw new BuiltinError(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`)
  return n
}

function toNumber(v: Value): Value {
  if (v === null) return 0
  if (typeof v === 'boolean') return v ? 1 : 0
  if (typeof v === 'string') return numberOf(v)
  if (isNumber(v)) return v
  throw operandError(1, 'one of {null, boolean, number, string}', typeName(v))
}

function typeCheck(name: string, test: (v: Value) => boolean): Builtin {
  return define(name, [O.any], T.boolean, (_, v) => test(v))
}

function cast(name: string, wanted: string, result: TypeDecl, convert: (v: Value) => Value | undefined): Builtin {
  return define(
    name,
    [O.any],
    result,
    (_, v) => {
      const out = convert(v)
      if (out === undefined) throw operandError(1, wanted, typeName(v))
      return out
    },
    { deprecated: true },
  )
}

const scalar = declared(O.any, T.oneOf(T.null, T.boolean, T.number, T.string))

export const TYPE_CHECKS: readonly Builtin[] = [
  typeCheck('is_array', isArray),
  typeCheck('is_boolean', (v) => typeof v === 'boolean'),
  typeCheck('is_null', (v) => v === null),
  typeCheck('is_number', isNumber),
  typeCheck('is_object', isObject),
  typeCheck('is_set', isSet),
  typeCheck('is_string', (v) => typeof v === 'string'),
  define('type_name', [O.any], T.string, (_, v) => typeName(v)),
  define('to_number', [scalar], T.number, (_, v) => toNumber(v)),
  cast('cast_array', 'one of {array, set}', T.array(), (v) =>
    isArray(v) ? v : isSet(v) ? sortedElements(v) : undefined,
  ),
  cast('cast_set', 'one of {array, set}', T.set(), (v) => (isSet(v) ? v : isArray(v) ? RegoSet.of(v) : undefined)),
  cast('cast_string', 'string', T.string, (v) => (typeof v === 'string' ? v : undefined)),
  cast('cast_boolean', 'boolean', T.boolean, (v) => (typeof v === 'boolean' ? v : undefined)),
  cast('cast_null', 'null', T.null, (v) => (v === null ? v : undefined)),
  cast('cast_object', 'object', T.object(), (v) => (isObject(v) ? v : undefined)),
]
