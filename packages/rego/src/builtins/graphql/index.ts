import type { DocumentNode } from 'graphql'
import { isRecord, newRecord, typeName, type RegoRecord, type Value } from '../../value/index.ts'
import { BuiltinError, succeeds, type Builtin, type BuiltinContext } from '../contract.ts'
import { declared, define, O, operandError } from '../define.ts'
import { T } from '../types.ts'
import { parseDocument } from './parse.ts'
import { queryToText, schemaToText } from './to-text.ts'
import { queryToValue, schemaToValue } from './to-value.ts'
import { buildSchema, validateQuery } from './validate.ts'

/** A document as text, or as the syntax tree that the parse functions give. */
function take(ctx: BuiltinContext, v: Value, position: number, toText: (v: RegoRecord) => string): DocumentNode {
  if (typeof v !== 'string' && !isRecord(v)) throw operandError(position, 'one of {string, object}', typeName(v))
  const text = typeof v === 'string' ? v : toText(v)
  ctx.spend(1 + text.length)
  return parseDocument(text)
}

/** Both documents, after the query was found valid under the schema. */
function takeBoth(ctx: BuiltinContext, query: Value, schema: Value): readonly [DocumentNode, DocumentNode] {
  const queryDocument = take(ctx, query, 1, queryToText)
  const schemaDocument = take(ctx, schema, 2, schemaToText)
  validateQuery(schemaDocument, queryDocument)
  return [queryDocument, schemaDocument]
}

function parseBoth(ctx: BuiltinContext, query: Value, schema: Value): readonly [Value, Value] {
  const [queryDocument, schemaDocument] = takeBoth(ctx, query, schema)
  return [queryToValue(queryDocument), schemaToValue(schemaDocument)]
}

function parseAndVerify(ctx: BuiltinContext, query: Value, schema: Value): Value {
  try {
    return [true, ...parseBoth(ctx, query, schema)]
  } catch (error) {
    if (error instanceof BuiltinError) return [false, newRecord(), newRecord()]
    throw error
  }
}

const source = declared(O.any, T.oneOf(T.string, T.object()))

export const GRAPHQL: readonly Builtin[] = [
  define('graphql.parse', [source, source], T.tuple(T.object(), T.object()), parseBoth),
  define('graphql.parse_and_verify', [source, source], T.tuple(T.boolean, T.object(), T.object()), parseAndVerify),
  define('graphql.parse_query', [O.string], T.object(), (ctx, text) => queryToValue(take(ctx, text, 1, queryToText))),
  define('graphql.parse_schema', [O.string], T.object(), (ctx, text) =>
    schemaToValue(take(ctx, text, 1, schemaToText)),
  ),
  define('graphql.is_valid', [source, source], T.boolean, (ctx, query, schema) =>
    succeeds(() => takeBoth(ctx, query, schema)),
  ),
  define('graphql.schema_is_valid', [source], T.boolean, (ctx, schema) =>
    succeeds(() => buildSchema(take(ctx, schema, 1, schemaToText))),
  ),
]
