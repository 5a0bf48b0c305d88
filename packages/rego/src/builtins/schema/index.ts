import { fromJson, isObject, newRecord, toJson, typeName, type Value } from '../../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from '../contract.ts'
import { declared, define, O, operandError } from '../define.ts'
import { unmarshal } from '../json-text.ts'
import { T } from '../types.ts'
import { checkSchema, type Schema } from './schema.ts'
import { Matcher } from './validate.ts'

/** A JSON document as object or text; sets become arrays. */
function takeDocument(v: Value, position: number): Value {
  if (typeof v === 'string') return unmarshal(v)
  if (!isObject(v)) throw operandError(position, 'either string or object', typeName(v))
  return fromJson(toJson(v))
}

function takeSchema(v: Value, position: number): Schema {
  return checkSchema(takeDocument(v, position))
}

function matchSchema(ctx: BuiltinContext, document: Value, schema: Value): Value {
  const misfits = new Matcher(ctx, takeSchema(schema, 2)).misfits(takeDocument(document, 1))
  const shown = misfits.map(({ field, type, description }) =>
    Object.assign(newRecord(), { desc: description, error: `${field}: ${description}`, field, type }),
  )
  return [misfits.length === 0, shown]
}

function verifySchema(schema: Value): Value {
  try {
    takeSchema(schema, 1)
    return [true, null]
  } catch (error) {
    if (!(error instanceof BuiltinError)) throw error
    return [false, `jsonschema: ${error.message}`]
  }
}

const document = declared(O.any, T.oneOf(T.string, T.object()))
const misfit = T.record({ desc: T.string, error: T.string, field: T.string, type: T.string })

export const SCHEMA: readonly Builtin[] = [
  define('json.match_schema', [document, document], T.tuple(T.boolean, T.array(misfit)), matchSchema),
  define('json.verify_schema', [document], T.tuple(T.boolean, T.oneOf(T.null, T.string)), (_, schema) =>
    verifySchema(schema),
  ),
]
