import type { JoinPath } from '../plan/joins.ts'
import {
  isArray,
  isObject,
  objectKeys,
  objectSize,
  RegoMap,
  RegoSet,
  sortedElements,
  step,
  type Value,
} from '../value/index.ts'
import type { Budget } from './bounds.ts'

/** Shorter collections are looked through faster than anything is looked up. */
export const JOIN_FROM = 16
/** So many times a collection is looked through before it is grouped, which costs about as much. */
const PATIENCE = 24

const NONE: readonly Value[] = []

/** A collection that is scanned again and again for elements with another value at one path. */
class Grouped {
  readonly of: Value
  uses = 0
  /** Position in `keys`, by value. */
  #index: RegoMap | undefined
  #keys: Value[][] = []

  constructor(of: Value) {
    this.of = of
  }

  get isReady(): boolean {
    return this.#index !== undefined
  }

  find(value: Value): readonly Value[] {
    const at = this.#index?.get(value)
    return typeof at === 'number' ? (this.#keys[at] as Value[]) : NONE
  }

  /** Groups the keys of all elements, each group in Rego order. */
  build(path: JoinPath): void {
    const index = new RegoMap()
    this.#index = index
    this.#keys = []
    const { of } = this
    if (isArray(of)) for (const [i, v] of of.entries()) this.#put(index, path, i, v)
    else if (of instanceof RegoSet) for (const v of sortedElements(of)) this.#put(index, path, v, v)
    else if (isObject(of)) for (const k of objectKeys(of)) this.#put(index, path, k, step(of, k) as Value)
  }

  #put(index: RegoMap, { steps }: JoinPath, key: Value, element: Value): void {
    let v: Value | undefined = element
    for (const s of steps) v = step(v, s)
    if (v === undefined) return
    const at = index.get(v)
    if (typeof at === 'number') (this.#keys[at] as Value[]).push(key)
    else {
      index.set(v, this.#keys.length)
      this.#keys.push([key])
    }
  }
}

/** The groups of one evaluation: for each join, those of the collection that it scanned last. */
export class Joins {
  readonly #budget: Budget
  readonly #groups = new Map<JoinPath, Grouped>()

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** The keys of elements that have `value` at the path, in Rego order; undefined: look at all. */
  candidates(path: JoinPath, of: Value, value: Value): readonly Value[] | undefined {
    const size = sizeOf(of)
    if (size < JOIN_FROM) return undefined
    let group = this.#groups.get(path)
    if (group?.of !== of) {
      group = new Grouped(of)
      this.#groups.set(path, group)
    }
    if (!group.isReady) {
      if (++group.uses < PATIENCE) return undefined
      this.#budget.spend(size)
      this.#budget.reserve(size)
      group.build(path)
    }
    return group.find(value)
  }
}

function sizeOf(v: Value): number {
  if (isArray(v)) return v.length
  if (v instanceof RegoSet) return v.size
  return isObject(v) ? objectSize(v) : 0
}
