import { BoxedNumber, numberToBigInt, numberToDouble } from './number.ts'
import { objectEntries, sortedElements, sortedKeys } from './order.ts'
import { compareText, printable } from './text.ts'
import {
  isArray,
  isRecord,
  newRecord,
  RegoSet,
  type MutableRecord,
  type RegoMap,
  type RegoRecord,
  type Value,
} from './value.ts'

/**
 * JSON text of a value, compact, names sorted by code point; sets become sorted arrays, keys that are not strings
 * become JSON text themselves, numbers keep their text, bytes that are not UTF-8 become U+FFFD.
 */
export function toJson(v: Value): string {
  if (typeof v === 'string') return JSON.stringify(printable(v))
  if (typeof v !== 'object' || v === null) return String(v)
  if (v instanceof BoxedNumber) return v.text
  if (isArray(v)) return `[${v.map(toJson).join(',')}]`
  if (v instanceof RegoSet) return `[${sortedElements(v).map(toJson).join(',')}]`
  const members = jsonMembers(v as RegoRecord | RegoMap)
  return `{${members.map(([k, x]) => `${JSON.stringify(printable(k))}:${toJson(x)}`).join(',')}}`
}

/** The members of an object as JSON has them: names are text, in order of the text. */
export function jsonMembers(o: RegoRecord | RegoMap): Array<readonly [string, Value]> {
  if (isRecord(o)) return sortedKeys(o).map((k) => [k, o[k] as Value])
  return objectEntries(o)
    .map(([k, x]): readonly [string, Value] => [jsonName(k), x])
    .sort(([a], [b]) => compareText(a, b))
}

/** The name of a member in JSON: strings as they are, other keys as their JSON text. */
export function jsonName(key: Value): string {
  return typeof key === 'string' ? key : toJson(key)
}

/** A plain JavaScript value. Sets become sorted arrays, other keys text; an integer past 2^53 becomes a bigint. */
export type Plain = null | boolean | string | number | bigint | Plain[] | { [key: string]: Plain }

/**
 * A value as plain JavaScript. Objects inherit nothing, so a member named `__proto__` is only a member.
 * Fractions of more than 17 digits are rounded to a double: use `toJson` where they matter.
 */
export function toPlain(v: Value): Plain {
  if (typeof v !== 'object' || v === null) return typeof v === 'string' ? printable(v) : v
  if (v instanceof BoxedNumber) {
    if (typeof v.key !== 'string') return v.key
    return numberToBigInt(v) ?? numberToDouble(v)
  }
  if (isArray(v)) return v.map(toPlain)
  if (v instanceof RegoSet) return sortedElements(v).map(toPlain)
  const out = newRecord() as MutableRecord as { [key: string]: Plain }
  if (isRecord(v)) for (const k of Object.keys(v)) out[printable(k)] = toPlain(v[k] as Value)
  else for (const [k, x] of jsonMembers(v)) out[printable(k)] = toPlain(x)
  return out
}
