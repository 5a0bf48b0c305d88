import { isArray, isObject, isRecord, jsonName, recordGet, type RegoRecord, type Value } from '../../value/index.ts'
import { BuiltinError } from '../contract.ts'
import { percentDecode } from '../percent.ts'
import { compileRegex } from '../regex.ts'

/** A schema that was checked: its keywords have the right form, its patterns are valid. */
export type Schema = boolean | RegoRecord

const PRIMITIVES = ['array', 'boolean', 'integer', 'number', 'null', 'object', 'string']

const SUBSCHEMAS = ['additionalProperties', 'additionalItems', 'contains', 'propertyNames', 'not', 'if', 'then', 'else']
const SCHEMA_LISTS = ['allOf', 'anyOf', 'oneOf']
const SCHEMA_MAPS = ['properties', 'patternProperties', 'definitions', '$defs']
const COUNTS = ['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties']

const MAX_DEPTH = 200

/**
 * Checks a JSON Schema (drafts 4, 6 and 7) before anything is matched against it.
 *
 * @throws {BuiltinError} saying what is wrong with it, in the words of Go's library where they are known.
 */
export function checkSchema(v: Value, depth = 0): Schema {
  if (depth > MAX_DEPTH) throw new BuiltinError('schema is nested too deeply')
  if (typeof v === 'boolean') return v
  if (!isRecord(v)) throw new BuiltinError('schema is invalid')
  checkTypes(recordGet(v, 'type'))
  checkReference(recordGet(v, '$ref'))
  checkForms(v)
  for (const name of SUBSCHEMAS) {
    const sub = recordGet(v, name)
    if (sub !== undefined) checkSchema(sub, depth + 1)
  }
  for (const name of SCHEMA_LISTS) checkList(name, recordGet(v, name), depth)
  const items = recordGet(v, 'items')
  if (isArray(items)) for (const item of items) checkSchema(item, depth + 1)
  else if (items !== undefined) checkSchema(items, depth + 1)
  for (const name of SCHEMA_MAPS) {
    const map = recordGet(v, name)
    if (map === undefined) continue
    if (!isRecord(map)) throw new BuiltinError(`${name} must be of type object`)
    for (const key of Object.keys(map)) {
      if (name === 'patternProperties') compileRegex(key)
      checkSchema(map[key] as Value, depth + 1)
    }
  }
  return v
}

function checkTypes(type: Value | undefined): void {
  for (const name of isArray(type) ? type : type === undefined ? [] : [type]) {
    if (typeof name !== 'string' || !PRIMITIVES.includes(name)) {
      throw new BuiltinError(
        `has a primitive type that is NOT VALID -- given: /${jsonName(name)}/ Expected valid values are:[${PRIMITIVES.join(' ')}]`,
      )
    }
  }
}

/** Only references inside the schema: nothing is fetched. */
function checkReference(ref: Value | undefined): void {
  if (ref === undefined) return
  if (typeof ref !== 'string') throw new BuiltinError('$ref must be of type string')
  if (!ref.startsWith('#')) throw new BuiltinError('remote reference loading disabled')
}

function checkForms(v: RegoRecord): void {
  const pattern = recordGet(v, 'pattern')
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') throw new BuiltinError('pattern must be of type string')
    compileRegex(pattern)
  }
  const required = recordGet(v, 'required')
  if (required !== undefined && !(isArray(required) && required.every((name) => typeof name === 'string'))) {
    throw new BuiltinError('required must be of type array of strings')
  }
  for (const name of COUNTS) {
    const n = recordGet(v, name)
    if (n !== undefined && !(typeof n === 'number' && Number.isInteger(n) && n >= 0)) {
      throw new BuiltinError(`${name} must be greater than or equal to 0`)
    }
  }
  const values = recordGet(v, 'enum')
  if (values !== undefined && !isArray(values)) throw new BuiltinError('enum must be of type array')
}

function checkList(name: string, list: Value | undefined, depth: number): void {
  if (list === undefined) return
  if (!isArray(list) || list.length === 0) throw new BuiltinError(`${name} must be of type array`)
  for (const sub of list) checkSchema(sub, depth + 1)
}

/** What `#` or `#/definitions/x` names inside the whole schema. */
export function resolveReference(root: Schema, ref: string): Schema {
  let at: Value | undefined = root
  const parts = ref === '#' ? [] : ref.slice(2).split('/')
  for (const raw of parts) {
    const part = percentDecode(raw).replaceAll('~1', '/').replaceAll('~0', '~')
    at = isRecord(at) ? recordGet(at, part) : isArray(at) ? at[Number(part)] : undefined
  }
  if (typeof at === 'boolean') return at
  if (!isObject(at) || !isRecord(at)) throw new BuiltinError(`Object has no key '${ref}'`)
  return at
}

/** The subschemas of a keyword that has them by name. */
export function mapOf(schema: RegoRecord, name: string): RegoRecord | undefined {
  const v = recordGet(schema, name)
  return isRecord(v) ? v : undefined
}
