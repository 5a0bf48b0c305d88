import {
  compareNumbers,
  equal,
  formatValue,
  isArray,
  isNumber,
  isRecord,
  jsonName,
  numberToBigInt,
  numberToSafeInteger,
  recordGet,
  RegoSet,
  toJson,
  typeName,
  type NumberValue,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'
import { divideExtended } from '../../value/extended.ts'
import { inRange } from '../arithmetic.ts'
import { codePointLength } from '../code-points.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { compileRegex } from '../regex.ts'
import { hasFormat } from './formats.ts'
import { resolveReference, type Schema } from './schema.ts'

/** One way in which a document does not fit, in the words of Go's library. */
export type Misfit = { readonly field: string; readonly type: string; readonly description: string }

const MAX_DEPTH = 500

/** Matches documents against one checked schema. */
export class Matcher {
  readonly #ctx: BuiltinContext
  readonly #root: Schema

  constructor(ctx: BuiltinContext, root: Schema) {
    this.#ctx = ctx
    this.#root = root
  }

  /** Everything that does not fit; empty if the document matches. */
  misfits(v: Value): Misfit[] {
    return this.#match(this.#root, v, [], 0)
  }

  #match(schema: Schema, v: Value, path: readonly string[], depth: number): Misfit[] {
    this.#ctx.spend(1)
    if (depth > MAX_DEPTH) throw new BuiltinError('schema references itself without end')
    if (typeof schema === 'boolean') return schema ? [] : [misfit(path, 'false', 'False always fails validation')]
    const ref = recordGet(schema, '$ref')
    if (typeof ref === 'string') return this.#match(resolveReference(this.#root, ref), v, path, depth + 1)
    const wrongType = typeMisfit(schema, v, path)
    if (wrongType !== undefined) return [wrongType]
    return [
      ...valueMisfits(schema, v, path),
      ...this.#combined(schema, v, path, depth + 1),
      ...this.#inside(schema, v, path, depth + 1),
    ]
  }

  #fits(schema: Value, v: Value, path: readonly string[], depth: number): boolean {
    return this.#match(schema as Schema, v, path, depth).length === 0
  }

  #combined(schema: RegoRecord, v: Value, path: readonly string[], depth: number): Misfit[] {
    const out: Misfit[] = []
    const count = (name: string): number | undefined => {
      const list = recordGet(schema, name)
      return isArray(list) ? list.filter((sub) => this.#fits(sub, v, path, depth)).length : undefined
    }
    const all = recordGet(schema, 'allOf')
    if (isArray(all)) {
      const inner = all.flatMap((sub) => this.#match(sub as Schema, v, path, depth))
      out.push(...inner)
      if (inner.length > 0) out.push(misfit(path, 'number_all_of', 'Must validate all the schemas (allOf)'))
    }
    if (count('anyOf') === 0) {
      out.push(misfit(path, 'number_any_of', 'Must validate at least one schema (anyOf)'))
    }
    const one = count('oneOf')
    if (one !== undefined && one !== 1) {
      out.push(misfit(path, 'number_one_of', 'Must validate one and only one schema (oneOf)'))
    }
    const not = recordGet(schema, 'not')
    if (not !== undefined && this.#fits(not, v, path, depth)) {
      out.push(misfit(path, 'number_not', 'Must not validate the schema (not)'))
    }
    return [...out, ...this.#condition(schema, v, path, depth)]
  }

  #condition(schema: RegoRecord, v: Value, path: readonly string[], depth: number): Misfit[] {
    const condition = recordGet(schema, 'if')
    if (condition === undefined) return []
    const holds = this.#fits(condition, v, path, depth)
    const branch = recordGet(schema, holds ? 'then' : 'else')
    const inner = branch === undefined ? [] : this.#match(branch as Schema, v, path, depth)
    if (inner.length === 0) return []
    const what = holds ? 'Must validate "then" as "if" was valid' : 'Must validate "else" as "if" was not valid'
    return [misfit(path, holds ? 'condition_then' : 'condition_else', what), ...inner]
  }

  #inside(schema: RegoRecord, v: Value, path: readonly string[], depth: number): Misfit[] {
    if (isArray(v)) return this.#elements(schema, v, path, depth)
    return isRecord(v) ? this.#members(schema, v, path, depth) : []
  }

  #elements(schema: RegoRecord, v: readonly Value[], path: readonly string[], depth: number): Misfit[] {
    const items = recordGet(schema, 'items')
    const at = (sub: Value, x: Value, i: number): Misfit[] => this.#match(sub as Schema, x, [...path, String(i)], depth)
    const out: Misfit[] = []
    if (isArray(items)) {
      out.push(...items.flatMap((sub, i) => (i < v.length ? at(sub, v[i] as Value, i) : [])))
      const more = recordGet(schema, 'additionalItems')
      const rest = v.slice(items.length)
      if (more === false && rest.length > 0) {
        out.push(misfit(path, 'array_no_additional_items', 'No additional items allowed on array'))
      } else if (more !== undefined && more !== true) {
        out.push(...rest.flatMap((x, i) => at(more, x, items.length + i)))
      }
    } else if (items !== undefined) {
      out.push(...v.flatMap((x, i) => at(items, x, i)))
    }
    const contains = recordGet(schema, 'contains')
    if (contains !== undefined && !v.some((x) => this.#fits(contains, x, path, depth))) {
      out.push(misfit(path, 'contains', 'At least one of the items must match'))
    }
    return out
  }

  #members(schema: RegoRecord, v: RegoRecord, path: readonly string[], depth: number): Misfit[] {
    const properties = mapOf(schema, 'properties')
    const patterns = mapOf(schema, 'patternProperties')
    const out: Misfit[] = []
    for (const key of Object.keys(v).sort()) {
      const value = v[key] as Value
      const inner = [...path, key]
      const own = properties === undefined ? undefined : recordGet(properties, key)
      if (own !== undefined) out.push(...this.#match(own as Schema, value, inner, depth))
      const matching = Object.keys(patterns ?? {}).filter((pattern) => compileRegex(pattern).test(key))
      for (const pattern of matching) out.push(...this.#match(patterns?.[pattern] as Schema, value, inner, depth))
      if (own === undefined && matching.length === 0) out.push(...this.#additional(schema, key, value, path, depth))
      const names = recordGet(schema, 'propertyNames')
      if (names !== undefined && !this.#fits(names, key, inner, depth)) {
        out.push(misfit(path, 'invalid_property_name', `Property name of "${key}" does not match`))
      }
    }
    return [...out, ...this.#dependencies(schema, v, path, depth)]
  }

  #additional(schema: RegoRecord, key: string, v: Value, path: readonly string[], depth: number): Misfit[] {
    const additional = recordGet(schema, 'additionalProperties')
    if (additional === undefined || additional === true) return []
    if (additional === false) {
      return [misfit(path, 'additional_property_not_allowed', `Additional property ${key} is not allowed`)]
    }
    return this.#match(additional as Schema, v, [...path, key], depth)
  }

  #dependencies(schema: RegoRecord, v: RegoRecord, path: readonly string[], depth: number): Misfit[] {
    const dependencies = mapOf(schema, 'dependencies') ?? {}
    return Object.keys(dependencies).flatMap((key) => {
      if (!Object.hasOwn(v, key)) return []
      const needs = dependencies[key] as Value
      if (!isArray(needs)) return this.#match(needs as Schema, v, path, depth)
      return needs
        .filter((need) => typeof need !== 'string' || !Object.hasOwn(v, need))
        .map((need) => misfit(path, 'missing_dependency', `Has a dependency on ${jsonName(need)}`))
    })
  }
}

function misfit(path: readonly string[], type: string, description: string): Misfit {
  return { field: path.length === 0 ? '(root)' : path.join('.'), type, description }
}

function mapOf(schema: RegoRecord, name: string): RegoRecord | undefined {
  const v = recordGet(schema, name)
  return isRecord(v) ? v : undefined
}

function schemaType(v: Value): string {
  return isNumber(v) ? (numberToBigInt(v) === undefined ? 'number' : 'integer') : typeName(v)
}

function typeMisfit(schema: RegoRecord, v: Value, path: readonly string[]): Misfit | undefined {
  const wanted = recordGet(schema, 'type')
  if (wanted === undefined) return undefined
  const names = isArray(wanted) ? wanted : [wanted]
  const given = schemaType(v)
  if (names.includes(given) || (given === 'integer' && names.includes('number'))) return undefined
  return misfit(path, 'invalid_type', `Invalid type. Expected: ${names.join('/')}, given: ${given}`)
}

function valueMisfits(schema: RegoRecord, v: Value, path: readonly string[]): Misfit[] {
  const field = path.length === 0 ? '(root)' : path.join('.')
  const out: Misfit[] = []
  const values = recordGet(schema, 'enum')
  if (isArray(values) && !values.some((x) => equal(x, v))) {
    out.push(misfit(path, 'enum', `${field} must be one of the following: ${values.map(toJson).join(', ')}`))
  }
  const constant = recordGet(schema, 'const')
  if (constant !== undefined && !equal(constant, v)) {
    out.push(misfit(path, 'const', `${field} does not match: ${toJson(constant)}`))
  }
  if (isNumber(v)) out.push(...numberMisfits(schema, v, path))
  else if (typeof v === 'string') out.push(...textMisfits(schema, v, path))
  else if (isArray(v)) out.push(...arrayMisfits(schema, v, path))
  else if (isRecord(v)) out.push(...recordMisfits(schema, v, path))
  return out
}

/** The bound of a keyword; with draft 4's `exclusiveMinimum: true` it belongs to the other keyword. */
function bound(schema: RegoRecord, name: string): NumberValue | undefined {
  const v = recordGet(schema, name)
  return v !== undefined && isNumber(v) ? v : undefined
}

function numberMisfits(schema: RegoRecord, v: NumberValue, path: readonly string[]): Misfit[] {
  const out: Misfit[] = []
  const check = (
    limit: NumberValue | undefined,
    bad: (order: number) => boolean,
    type: string,
    words: string,
  ): void => {
    if (limit !== undefined && bad(compareNumbers(v, limit)))
      out.push(misfit(path, type, `${words} ${formatValue(limit)}`))
  }
  const below = (order: number): boolean => order < 0
  const notAbove = (order: number): boolean => order <= 0
  const above = (order: number): boolean => order > 0
  const notBelow = (order: number): boolean => order >= 0
  const strictMin = recordGet(schema, 'exclusiveMinimum') === true
  const strictMax = recordGet(schema, 'exclusiveMaximum') === true
  const min = bound(schema, 'minimum')
  const max = bound(schema, 'maximum')
  if (strictMin) check(min, notAbove, 'number_gt', 'Must be greater than')
  else check(min, below, 'number_gte', 'Must be greater than or equal to')
  if (strictMax) check(max, notBelow, 'number_lt', 'Must be less than')
  else check(max, above, 'number_lte', 'Must be less than or equal to')
  check(bound(schema, 'exclusiveMinimum'), notAbove, 'number_gt', 'Must be greater than')
  check(bound(schema, 'exclusiveMaximum'), notBelow, 'number_lt', 'Must be less than')
  const step = bound(schema, 'multipleOf')
  if (step !== undefined && !isMultiple(v, step)) {
    out.push(misfit(path, 'multiple_of', `Must be a multiple of ${formatValue(step)}`))
  }
  return out
}

function isMultiple(v: NumberValue, step: NumberValue): boolean {
  const quotient = inRange(() => divideExtended(v, step))
  return quotient !== undefined && numberToBigInt(quotient) !== undefined
}

function limit(schema: RegoRecord, name: string): number | undefined {
  const n = bound(schema, name)
  return n === undefined ? undefined : numberToSafeInteger(n)
}

function sizeMisfits(
  size: number,
  path: readonly string[],
  [least, leastType, leastWords]: readonly [number | undefined, string, string],
  [most, mostType, mostWords]: readonly [number | undefined, string, string],
): Misfit[] {
  if (least !== undefined && size < least) return [misfit(path, leastType, leastWords.replace('%', String(least)))]
  if (most !== undefined && size > most) return [misfit(path, mostType, mostWords.replace('%', String(most)))]
  return []
}

function textMisfits(schema: RegoRecord, s: string, path: readonly string[]): Misfit[] {
  const out = sizeMisfits(
    codePointLength(s),
    path,
    [limit(schema, 'minLength'), 'string_gte', 'String length must be greater than or equal to %'],
    [limit(schema, 'maxLength'), 'string_lte', 'String length must be less than or equal to %'],
  )
  const pattern = recordGet(schema, 'pattern')
  if (typeof pattern === 'string' && !compileRegex(pattern).test(s)) {
    out.push(misfit(path, 'pattern', `Does not match pattern '${pattern}'`))
  }
  const format = recordGet(schema, 'format')
  if (typeof format === 'string' && !hasFormat(format, s)) {
    out.push(misfit(path, 'format', `Does not match format '${format}'`))
  }
  return out
}

function arrayMisfits(schema: RegoRecord, v: readonly Value[], path: readonly string[]): Misfit[] {
  const out = sizeMisfits(
    v.length,
    path,
    [limit(schema, 'minItems'), 'array_min_items', 'Array must have at least % items'],
    [limit(schema, 'maxItems'), 'array_max_items', 'Array must have at most % items'],
  )
  if (recordGet(schema, 'uniqueItems') === true) out.push(...repeated(v, path))
  return out
}

function repeated(v: readonly Value[], path: readonly string[]): Misfit[] {
  const seen = new RegoSet()
  for (const [i, x] of v.entries()) {
    if (!seen.add(x))
      return [misfit(path, 'unique', `array items[${v.findIndex((y) => equal(x, y))},${i}] must be unique`)]
  }
  return []
}

function recordMisfits(schema: RegoRecord, v: RegoRecord, path: readonly string[]): Misfit[] {
  const required = recordGet(schema, 'required')
  const missing = (isArray(required) ? required : [])
    .filter((name) => typeof name === 'string' && !Object.hasOwn(v, name))
    .map((name) => misfit(path, 'required', `${jsonName(name)} is required`))
  return [
    ...missing,
    ...sizeMisfits(
      Object.keys(v).length,
      path,
      [limit(schema, 'minProperties'), 'array_min_properties', 'Must have at least % properties'],
      [limit(schema, 'maxProperties'), 'array_max_properties', 'Must have at most % properties'],
    ),
  ]
}
