import { compareNumbers, isNumber, numberToSafeInteger } from './number.ts'
import { compareText } from './text.ts'
import {
  isArray,
  isObject,
  isSet,
  newRecord,
  recordGet,
  RegoMap,
  RegoSet,
  type MutableRecord,
  type RegoRecord,
  type Value,
} from './value.ts'

export type Order = -1 | 0 | 1

/** null < boolean < number < string < array < object < set. */
function rank(v: Value): number {
  if (v === null) return 0
  if (typeof v === 'boolean') return 1
  if (typeof v === 'string') return 3
  if (isNumber(v)) return 2
  if (isArray(v)) return 4
  return v instanceof RegoSet ? 6 : 5
}

/** Rego's total order: across types by type, numbers by exact value, strings by code point, composites element-wise. */
export function compare(a: Value, b: Value): Order {
  if (a === b) return 0
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : 1
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  const rankA = rank(a)
  const rankB = rank(b)
  if (rankA !== rankB) return rankA < rankB ? -1 : 1
  if (a === null) return 0
  if (typeof a === 'boolean') return a ? 1 : -1
  if (isNumber(a)) return compareNumbers(a, b as typeof a)
  if (isArray(a)) return compareArrays(a, b as readonly Value[])
  if (a instanceof RegoSet) return compareArrays(sortedElements(a), sortedElements(b as RegoSet))
  return compareObjects(a as RegoRecord | RegoMap, b as RegoRecord | RegoMap)
}

function compareArrays(a: readonly Value[], b: readonly Value[]): Order {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const order = compare(a[i] as Value, b[i] as Value)
    if (order !== 0) return order
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1
}

/** The first differing key decides, else its value, in key order; then the number of keys. */
function compareObjects(a: RegoRecord | RegoMap, b: RegoRecord | RegoMap): Order {
  const entriesA = objectEntries(a)
  const entriesB = objectEntries(b)
  const n = Math.min(entriesA.length, entriesB.length)
  for (let i = 0; i < n; i++) {
    const [keyA, valueA] = entriesA[i] as readonly [Value, Value]
    const [keyB, valueB] = entriesB[i] as readonly [Value, Value]
    const order = compare(keyA, keyB) || compare(valueA, valueB)
    if (order !== 0) return order as Order
  }
  return entriesA.length === entriesB.length ? 0 : entriesA.length < entriesB.length ? -1 : 1
}

/** Sorts in place, in Rego order. */
export function sortValues(values: Value[]): Value[] {
  return values.sort(compare)
}

/** The elements in Rego order. Computed once per set; do not change the array. */
export function sortedElements(set: RegoSet): readonly Value[] {
  return set.sortedWith(sortValues)
}

/** The keys of a record by code point. */
export function sortedKeys(r: RegoRecord): string[] {
  const keys = Object.keys(r)
  for (let i = 1; i < keys.length; i++) {
    if (compareText(keys[i - 1] as string, keys[i] as string) > 0) return keys.sort(compareText)
  }
  return keys
}

/** All keys of an object in Rego order. */
export function objectKeys(o: RegoRecord | RegoMap): readonly Value[] {
  return o instanceof RegoMap ? objectEntries(o).map(([k]) => k) : sortedKeys(o)
}

/** All members of an object, in Rego order of the keys. */
export function objectEntries(o: RegoRecord | RegoMap): ReadonlyArray<readonly [Value, Value]> {
  if (o instanceof RegoMap) return [...o.entries()].sort(([a], [b]) => compare(a, b))
  return sortedKeys(o).map((k) => [k, o[k] as Value])
}

export function objectSize(o: RegoRecord | RegoMap): number {
  return o instanceof RegoMap ? o.size : Object.keys(o).length
}

/** The value at a key of any type. */
export function objectGet(o: RegoRecord | RegoMap, key: Value): Value | undefined {
  if (o instanceof RegoMap) return o.get(key)
  return typeof key === 'string' ? recordGet(o, key) : undefined
}

/**
 * One step of a reference: array by integer (1.0 counts), object by key, set by element (the element is the value).
 * Anything else is undefined.
 */
export function step(v: Value | undefined, key: Value): Value | undefined {
  if (isArray(v)) {
    const i = isNumber(key) ? numberToSafeInteger(key) : undefined
    return i !== undefined && i >= 0 ? v[i] : undefined
  }
  if (v instanceof RegoSet) return v.find(key)
  return isObject(v) ? objectGet(v, key) : undefined
}

/** What iteration over a reference step yields, key and value, in Rego order; nothing for scalars. */
export function entriesOf(v: Value | undefined): ReadonlyArray<readonly [Value, Value]> {
  if (isArray(v)) return v.map((x, i) => [i, x])
  if (isSet(v)) return sortedElements(v).map((x) => [x, x])
  return isObject(v) ? objectEntries(v) : []
}

/** Collects members with keys of any type; the result is a record when all keys are strings. */
export class ObjectBuilder {
  #record: MutableRecord | undefined = newRecord()
  #map: RegoMap | undefined

  get(key: Value): Value | undefined {
    if (this.#map !== undefined) return this.#map.get(key)
    return typeof key === 'string' && this.#record !== undefined ? recordGet(this.#record, key) : undefined
  }

  /** An equal key is overwritten. */
  set(key: Value, value: Value): this {
    if (this.#record !== undefined) {
      if (typeof key === 'string') {
        this.#record[key] = value
        return this
      }
      this.#map = new RegoMap()
      for (const k of Object.keys(this.#record)) this.#map.set(k, this.#record[k] as Value)
      this.#record = undefined
    }
    this.#map?.set(key, value)
    return this
  }

  /** The object. The builder must not be used afterwards. */
  finish(): RegoRecord | RegoMap {
    return this.#record ?? this.#map ?? newRecord()
  }
}

/** An object of these members; later ones win. */
export function objectOf(entries: Iterable<readonly [Value, Value]>): RegoRecord | RegoMap {
  const builder = new ObjectBuilder()
  for (const [k, v] of entries) builder.set(k, v)
  return builder.finish()
}
