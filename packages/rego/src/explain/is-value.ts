import { isArray, isNumber, isObject, isSet, type Value } from '../value/index.ts'

/** A register may also hold an environment, a cursor or something half made: those are not shown. */
export function isValue(v: unknown): v is Value {
  if (v === null || typeof v === 'boolean' || typeof v === 'string') return true
  if (typeof v === 'number' || typeof v === 'bigint') return true
  if (typeof v !== 'object') return false
  const value = v as Value
  if (isNumber(value) || isArray(value) || isSet(value)) return true
  const prototype: unknown = Object.getPrototypeOf(v)
  return (
    isObject(value) &&
    (prototype === null || !('constructor' in (prototype as object)) || prototype === Object.prototype)
  )
}
