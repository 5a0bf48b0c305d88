import { BoxedNumber, isNumber, type NumberValue } from './number.ts'

/**
 * A Rego value. JSON-shaped values are themselves: null, booleans, strings, numbers, arrays, and plain objects with
 * string keys. Only what JSON cannot hold has a class: `BoxedNumber`, `RegoMap`, `RegoSet`.
 *
 * `undefined` is never a value; functions return it for "undefined".
 */
export type Value = null | boolean | string | NumberValue | readonly Value[] | RegoRecord | RegoMap | RegoSet

/**
 * An object all of whose keys are strings. Either made by the engine (`newRecord`, no inherited names at all) or a plain
 * object of the host's. Read it through `recordGet`, or directly for a key that is not in `INHERITED_NAMES`.
 * An object with any other key is a `RegoMap`, so the two forms never overlap.
 */
export interface RegoRecord {
  readonly [key: string]: Value
}

/** The same, while the engine builds it. */
export interface MutableRecord {
  [key: string]: Value
}

/** What a plain object of the host inherits. Loads of these keys must go through `Object.hasOwn`. */
export const INHERITED_NAMES: ReadonlySet<string> = new Set([
  'constructor',
  'hasOwnProperty',
  'isPrototypeOf',
  'propertyIsEnumerable',
  'toLocaleString',
  'toString',
  'valueOf',
  '__proto__',
  '__defineGetter__',
  '__defineSetter__',
  '__lookupGetter__',
  '__lookupSetter__',
])

const PLAIN: object = {}

/**
 * True if somebody gave Object.prototype further names by assignment, as pollution does: then plain host objects must be copied,
 * never read in place. Such names can be enumerated, and asking costs next to nothing.
 */
export function prototypeIsPolluted(): boolean {
  for (const _ in PLAIN) return true
  return false
}

// A constructor rather than Object.create(null): V8 gives its instances fast shapes. The prototype has no names and is
// frozen, so `r['__proto__'] = x` makes an own key.
const SafeRecord = function SafeRecord() {} as unknown as { new (): MutableRecord; prototype: object }
SafeRecord.prototype = Object.freeze(Object.create(null) as object)

/** An empty record that inherits nothing: any key may be assigned. */
export function newRecord(): MutableRecord {
  return new SafeRecord()
}

/** @internal For `adopt`. */
export function isSafeRecordPrototype(prototype: unknown): boolean {
  return prototype === SafeRecord.prototype
}

/** An object value that is not a record: common base of `RegoMap` and `RegoSet`, for one `instanceof` test. */
export abstract class Composite {
  /** The structural hash once it is known; a composite may not change afterwards. */
  protected cachedHash: number | undefined
  abstract readonly size: number
  abstract hash(): number
}

type Primitive = null | boolean | string | number | bigint

/** Values by Rego equality: primitives in a native map, composites in hash buckets. */
class ValueIndex<E extends { readonly key: Value }> {
  readonly #primitives = new Map<Primitive, E>()
  #buckets: Map<number, E[]> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: Value): E | undefined {
    const k = primitiveKey(key)
    if (k !== undefined) return this.#primitives.get(k)
    return this.#buckets?.get(hash(key))?.find((e) => equal(e.key, key))
  }

  /** The caller has checked that the key is not there. */
  insert(entry: E): void {
    this.#size++
    const k = primitiveKey(entry.key)
    if (k !== undefined) {
      this.#primitives.set(k, entry)
      return
    }
    this.#buckets ??= new Map()
    const h = hash(entry.key)
    const bucket = this.#buckets.get(h)
    if (bucket === undefined) this.#buckets.set(h, [entry])
    else bucket.push(entry)
  }

  *entries(): Generator<E> {
    yield* this.#primitives.values()
    if (this.#buckets !== undefined) for (const bucket of this.#buckets.values()) yield* bucket
  }
}

/** What a native Set or Map compares as Rego does; undefined for composites and numbers that fit no native form. */
function primitiveKey(v: Value): Primitive | undefined {
  if (typeof v !== 'object' || v === null) return v
  return v instanceof BoxedNumber && typeof v.key !== 'string' ? v.key : undefined
}

/** An object with at least one key that is not a string. Built once, then never changed. */
export class RegoMap extends Composite {
  readonly #index = new ValueIndex<{ readonly key: Value; value: Value }>()

  override get size(): number {
    return this.#index.size
  }

  get(key: Value): Value | undefined {
    return this.#index.get(key)?.value
  }

  has(key: Value): boolean {
    return this.#index.get(key) !== undefined
  }

  /** Only while building. An equal key keeps its first spelling and takes the new value. */
  set(key: Value, value: Value): void {
    const entry = this.#index.get(key)
    if (entry === undefined) this.#index.insert({ key, value })
    else entry.value = value
    this.cachedHash = undefined
  }

  /** In no particular order; `objectKeys` sorts. */
  keys(): readonly Value[] {
    return Array.from(this.#index.entries(), ({ key }) => key)
  }

  /** In no particular order; `objectEntries` sorts. */
  *entries(): Generator<readonly [Value, Value]> {
    for (const { key, value } of this.#index.entries()) yield [key, value]
  }

  override hash(): number {
    if (this.cachedHash !== undefined) return this.cachedHash
    let h = OBJECT_SEED
    for (const { key, value } of this.#index.entries()) h = (h + hashPair(hash(key), hash(value))) | 0
    return (this.cachedHash = h)
  }
}

/** A set. Built once, then never changed. `sortedElements` gives Rego order. */
export class RegoSet extends Composite {
  readonly #primitives = new Set<Primitive>()
  #others: ValueIndex<{ readonly key: Value }> | undefined
  #boxed: Map<Primitive, BoxedNumber> | undefined
  #sorted: readonly Value[] | undefined
  #listed: readonly Value[] | undefined

  static of(values: Iterable<Value>): RegoSet {
    const set = new RegoSet()
    for (const v of values) set.add(v)
    return set
  }

  override get size(): number {
    return this.#primitives.size + (this.#others?.size ?? 0)
  }

  has(v: Value): boolean {
    const k = primitiveKey(v)
    if (k !== undefined) return this.#primitives.has(k)
    return this.#others?.get(v) !== undefined
  }

  /** The element that equals `v`, in the spelling in which it was added. */
  find(v: Value): Value | undefined {
    const k = primitiveKey(v)
    if (k === undefined) return this.#others?.get(v)?.key
    return this.#primitives.has(k) ? (this.#boxed?.get(k) ?? k) : undefined
  }

  /** Only while building. The first of equal numbers keeps its spelling. @returns true if it was new */
  add(v: Value): boolean {
    const k = primitiveKey(v)
    if (k !== undefined) {
      if (this.#primitives.has(k)) return false
      this.#primitives.add(k)
      if (v instanceof BoxedNumber) (this.#boxed ??= new Map()).set(k, v)
    } else {
      this.#others ??= new ValueIndex()
      if (this.#others.get(v) !== undefined) return false
      this.#others.insert({ key: v })
    }
    this.#sorted = undefined
    this.#listed = undefined
    this.cachedHash = undefined
    return true
  }

  /** All elements, in no particular order. Do not change the array. */
  elements(): readonly Value[] {
    return this.#sorted ?? (this.#listed ??= [...this])
  }

  /** In no particular order; `sortedElements` sorts. */
  *[Symbol.iterator](): Generator<Value> {
    for (const k of this.#primitives) yield this.#boxed?.get(k) ?? k
    if (this.#others !== undefined) for (const { key } of this.#others.entries()) yield key
  }

  /** @internal For `sortedElements`, which knows the order. */
  sortedWith(sort: (elements: Value[]) => Value[]): readonly Value[] {
    return (this.#sorted ??= sort([...this]))
  }

  override hash(): number {
    if (this.cachedHash !== undefined) return this.cachedHash
    let h = SET_SEED
    for (const v of this) h = (h + mix(hash(v))) | 0
    return (this.cachedHash = h)
  }
}

export function isSet(v: Value | undefined): v is RegoSet {
  return v instanceof RegoSet
}

export function isArray(v: Value | undefined): v is readonly Value[] {
  return Array.isArray(v)
}

/** An object with string keys only. */
export function isRecord(v: Value | undefined): v is RegoRecord {
  return (
    typeof v === 'object' && v !== null && !Array.isArray(v) && !(v instanceof Composite) && !(v instanceof BoxedNumber)
  )
}

export function isObject(v: Value | undefined): v is RegoRecord | RegoMap {
  return v instanceof RegoMap || isRecord(v)
}

/** Own keys only: `__proto__`, `constructor` and the like are found if and only if the object has them itself. */
export function recordGet(r: RegoRecord, key: string): Value | undefined {
  return Object.hasOwn(r, key) ? r[key] : undefined
}

/** Equality as `==` and as set and key identity: numbers by exact value. */
export function equal(a: Value, b: Value): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || a === null) {
    return b instanceof BoxedNumber && typeof a !== 'string' && a === b.key
  }
  if (a instanceof BoxedNumber) return a.key === (b instanceof BoxedNumber ? b.key : typeof b === 'string' ? NaN : b)
  if (typeof b !== 'object' || b === null || b instanceof BoxedNumber) return false
  if (isArray(a)) return isArray(b) && a.length === b.length && a.every((x, i) => equalAt(x, b[i]))
  if (isArray(b)) return false
  if (a instanceof RegoSet) return b instanceof RegoSet && equalSets(a, b)
  if (b instanceof RegoSet) return false
  if (a instanceof RegoMap) return b instanceof RegoMap && equalMaps(a, b)
  if (b instanceof RegoMap) return false
  return equalRecords(a as RegoRecord, b as RegoRecord)
}

function equalAt(a: Value, b: Value | undefined): boolean {
  return b !== undefined && equal(a, b)
}

function equalSets(a: RegoSet, b: RegoSet): boolean {
  if (a.size !== b.size) return false
  for (const v of a) if (!b.has(v)) return false
  return true
}

function equalMaps(a: RegoMap, b: RegoMap): boolean {
  if (a.size !== b.size) return false
  for (const [k, v] of a.entries()) if (!equalAt(v, b.get(k))) return false
  return true
}

function equalRecords(a: RegoRecord, b: RegoRecord): boolean {
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const k of keys) if (!equalAt(a[k] as Value, recordGet(b, k))) return false
  return true
}

// Seeded per process, so that nobody can prepare claims that collide. Never visible: sets and objects iterate in order.
const SEED = (Math.random() * 0x100000000) | 0
const ARRAY_SEED = mix(SEED ^ 1)
const OBJECT_SEED = mix(SEED ^ 2)
const SET_SEED = mix(SEED ^ 3)

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16) ^ SEED, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function hashPair(a: number, b: number): number {
  return mix(Math.imul(a, 31) ^ mix(b))
}

function hashText(s: string): number {
  let h = SEED ^ s.length
  for (let i = 0; i < s.length; i++) {
    h = Math.imul(h ^ s.charCodeAt(i), 0x9e3779b1)
    h ^= h >>> 15
  }
  return h
}

/** Equal values have equal hashes, within one process. */
export function hash(v: Value): number {
  switch (typeof v) {
    case 'string':
      return mix(hashText(v))
    case 'number':
      return mix((v | 0) === v ? v : hashText(String(v)))
    case 'bigint':
      return mix(hashText(v.toString(36)))
    case 'boolean':
      return mix(v ? 5 : 6)
    default:
  }
  if (v === null) return mix(7)
  if (isArray(v)) return v.reduce<number>((h, x) => hashPair(h, hash(x)), ARRAY_SEED)
  if (v instanceof RegoSet || v instanceof RegoMap) return v.hash()
  if (v instanceof BoxedNumber) return typeof v.key === 'string' ? mix(hashText(v.key)) : hash(v.key)
  const record = v as RegoRecord
  let h = OBJECT_SEED
  for (const k of Object.keys(record)) h = (h + hashPair(hash(k), hash(record[k] as Value))) | 0
  return h
}

/** The names that `type_name` uses. */
export type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' | 'set'

export function typeName(v: Value): TypeName {
  if (v === null) return 'null'
  if (typeof v === 'boolean') return 'boolean'
  if (typeof v === 'string') return 'string'
  if (isNumber(v)) return 'number'
  if (isArray(v)) return 'array'
  return v instanceof RegoSet ? 'set' : 'object'
}
