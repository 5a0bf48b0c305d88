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
import { compileRegex } from '../regex.ts'
import { hasFormat } from './formats.ts'

/** One way in which a document does not fit, in the words of Go's library. */
export type Misfit = { readonly field: string; readonly type: string; readonly description: string }

export function misfit(path: readonly string[], type: string, description: string): Misfit {
  return { field: path.length === 0 ? '(root)' : path.join('.'), type, description }
}

function schemaType(v: Value): string {
  return isNumber(v) ? (numberToBigInt(v) === undefined ? 'number' : 'integer') : typeName(v)
}

export function typeMisfit(schema: RegoRecord, v: Value, path: readonly string[]): Misfit | undefined {
  const wanted = recordGet(schema, 'type')
  if (wanted === undefined) return undefined
  const names = isArray(wanted) ? wanted : [wanted]
  const given = schemaType(v)
  if (names.includes(given) || (given === 'integer' && names.includes('number'))) return undefined
  return misfit(path, 'invalid_type', `Invalid type. Expected: ${names.join('/')}, given: ${given}`)
}

export function valueMisfits(schema: RegoRecord, v: Value, path: readonly string[]): Misfit[] {
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
