import {
  isArray,
  isObject,
  objectEntries,
  RegoMap,
  RegoSet,
  sortedElements,
  step,
  type RegoRecord,
  type Value,
} from '../value/index.ts'

/**
 * Calls `each` for the elements of a collection until it returns true; scalars have none. In Rego order if `ordered`, else in
 * any order. With `some`, only for the elements at these keys.
 *
 * @returns true if `each` did
 */
export function iterate(
  v: Value,
  ordered: boolean,
  some: readonly Value[] | undefined,
  each: (key: Value, value: Value) => boolean,
): boolean {
  if (some !== undefined) return some.some((k) => each(k, step(v, k) as Value))
  if (isArray(v)) {
    for (let i = 0; i < v.length; i++) if (each(i, v[i] as Value)) return true
    return false
  }
  if (v instanceof RegoSet) {
    for (const x of ordered ? sortedElements(v) : v) if (each(x, x)) return true
    return false
  }
  if (!isObject(v)) return false
  if (ordered) {
    for (const [k, x] of objectEntries(v)) if (each(k, x)) return true
    return false
  }
  if (v instanceof RegoMap) {
    for (const [k, x] of v.entries()) if (each(k, x)) return true
    return false
  }
  const record = v as RegoRecord
  for (const k of Object.keys(record)) if (each(k, record[k] as Value)) return true
  return false
}
