import { BoxedNumber, numberFromBigInt } from './number.ts'
import { wellFormed } from './text.ts'
import {
  Composite,
  isSafeRecordPrototype,
  newRecord,
  prototypeIsPolluted,
  type MutableRecord,
  type RegoRecord,
  type Value,
} from './value.ts'
import { ValueError } from './value-error.ts'

/** Arrays and objects nested more deeply are refused, so that no later recursion can exhaust the stack. */
export const DEFAULT_MAX_DEPTH = 1000

export type AdoptOptions = {
  /** Copy everything, also what could be read in place: for data that outlives the call. Default false. */
  readonly copy?: boolean
  /** Default `DEFAULT_MAX_DEPTH`. */
  readonly maxDepth?: number
}

/**
 * A Rego value from a JavaScript value, as `JSON.parse` makes them. What is already a clean value is returned as it is,
 * without a copy (the caller must not change it while it is in use); what is not is copied along its path:
 * lone surrogates become U+FFFD, members that are undefined are dropped, small bigints become numbers.
 *
 * @throws {ValueError} `value.malformed` for functions, symbols, class instances, NaN, infinities, and integers beyond
 *   2^53 given as `number`, whose last digits are already lost: pass a bigint or JSON text.
 *   `value.too-deep` past `maxDepth`; a cycle ends there too.
 */
export function adopt(input: unknown, options: AdoptOptions = {}): Value {
  const copy = options.copy === true || prototypeIsPolluted()
  return visit(input, copy, options.maxDepth ?? DEFAULT_MAX_DEPTH)
}

function visit(v: unknown, copy: boolean, depth: number): Value {
  switch (typeof v) {
    case 'string':
      return wellFormed(v)
    case 'boolean':
      return v
    case 'number':
      if (Number.isSafeInteger(v)) return v
      if (!Number.isFinite(v)) throw new ValueError('value.malformed', `${v} is not a JSON number`)
      if (Number.isInteger(v)) {
        throw new ValueError('value.malformed', `${v} is past 2^53: pass a bigint or JSON text to keep its digits`)
      }
      return v
    case 'bigint':
      return numberFromBigInt(v)
    case 'object':
      break
    default:
      throw new ValueError('value.malformed', `a ${typeof v} is not a value`)
  }
  if (v === null || v instanceof Composite || v instanceof BoxedNumber) return v as Value
  if (depth <= 0) throw new ValueError('value.too-deep', 'nested too deeply')
  if (Array.isArray(v)) return visitArray(v, copy, depth)
  const prototype: unknown = Object.getPrototypeOf(v)
  const inPlace = prototype === Object.prototype || prototype === null || isSafeRecordPrototype(prototype)
  // a plain object of another realm is fine too, but what it inherits is not ours to know
  if (!inPlace && Object.getPrototypeOf(prototype) !== null) {
    throw new ValueError('value.malformed', 'only plain objects and arrays are values')
  }
  return visitRecord(v as Readonly<Record<string, unknown>>, copy, !inPlace, depth)
}

function visitArray(v: readonly unknown[], copy: boolean, depth: number): Value {
  let out: Value[] | undefined = copy ? [] : undefined
  for (let i = 0; i < v.length; i++) {
    const was = v[i]
    const is = visit(was, copy, depth - 1)
    if (out === undefined && is !== was) out = v.slice(0, i) as Value[]
    out?.push(is)
  }
  return out ?? (v as readonly Value[])
}

function visitRecord(v: Readonly<Record<string, unknown>>, copy: boolean, foreign: boolean, depth: number): Value {
  const keys = Object.keys(v)
  let out: MutableRecord | undefined = copy || foreign ? newRecord() : undefined
  for (let i = 0; i < keys.length; i++) {
    const k = keys[i] as string
    const was = v[k]
    const is = was === undefined ? undefined : visit(was, copy, depth - 1)
    const key = wellFormed(k)
    if (out === undefined && (is !== was || is === undefined || key !== k)) {
      out = newRecord()
      for (const done of keys.slice(0, i)) out[done] = v[done] as Value
    }
    if (out !== undefined && is !== undefined) out[key] = is
  }
  return out ?? (v as RegoRecord)
}
