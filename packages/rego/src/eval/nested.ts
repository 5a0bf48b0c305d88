import type { Location } from '../syntax/source.ts'
import { equal, isObject, objectEntries, ObjectBuilder, RegoMap, RegoSet, step, type Value } from '../value/index.ts'
import { keyConflict } from './errors.ts'

/**
 * A document that rules make together: a value that one rule gives whole, a set to which rules add elements, or an object whose
 * members are parts again. Only objects are open to further members.
 */
export type Part = Leaf | OpenSet | Branch

export class Leaf {
  readonly value: Value

  constructor(value: Value) {
    this.value = value
  }

  finish(): Value {
    return this.value
  }

  step(key: Value): Part | undefined {
    const below = step(this.value, key)
    return below === undefined ? undefined : new Leaf(below)
  }
}

export class OpenSet {
  readonly elements: RegoSet

  constructor(elements = new RegoSet()) {
    this.elements = elements
  }

  finish(): Value {
    return this.elements
  }

  step(key: Value): Part | undefined {
    const found = this.elements.find(key)
    return found === undefined ? undefined : new Leaf(found)
  }
}

export class Branch {
  readonly #index = new RegoMap()
  readonly #keys: Value[] = []
  readonly #parts: Part[] = []
  #finished: Value | undefined

  get keys(): readonly Value[] {
    return this.#keys
  }

  step(key: Value): Part | undefined {
    const at = this.#index.get(key)
    return typeof at === 'number' ? this.#parts[at] : undefined
  }

  put<P extends Part>(key: Value, part: P): P {
    const at = this.#index.get(key)
    this.#finished = undefined
    if (typeof at === 'number') this.#parts[at] = part
    else {
      this.#index.set(key, this.#parts.length)
      this.#keys.push(key)
      this.#parts.push(part)
    }
    return part
  }

  finish(): Value {
    if (this.#finished !== undefined) return this.#finished
    const builder = new ObjectBuilder()
    for (const [i, key] of this.#keys.entries()) builder.set(key, (this.#parts[i] as Part).finish())
    return (this.#finished = builder.finish())
  }

  /**
   * Adds a value, or an element of a set, at a path of keys.
   *
   * @returns true if it was new
   * @throws {RegoError} `eval_conflict_error` where another value is at the path, above or below it
   */
  add(path: readonly Value[], leaf: Value, isElement: boolean, at: Location | undefined): boolean {
    const branch = path.slice(0, -1).reduce<Branch>((b, key) => {
      const found = b.step(key)
      if (found === undefined) return b.put(key, new Branch())
      if (found instanceof Branch) return found
      throw keyConflict(at)
    }, this)
    const key = path.at(-1) as Value
    const found = branch.step(key)
    if (isElement) {
      if (found === undefined) return branch.put(key, new OpenSet()).elements.add(leaf)
      if (!(found instanceof OpenSet)) throw keyConflict(at)
      return found.elements.add(leaf)
    }
    if (found === undefined) {
      branch.put(key, new Leaf(leaf))
      return true
    }
    if (!(found instanceof Leaf) || !equal(found.value, leaf)) throw keyConflict(at)
    return false
  }
}

/** Two parts at one place. @throws {RegoError} `eval_conflict_error` if they do not go together */
export function unite(a: Part | undefined, b: Part | undefined, at: Location | undefined): Part | undefined {
  if (a === undefined || b === undefined) return a === undefined ? b : a
  if (a instanceof Branch && b instanceof Branch) {
    const out = new Branch()
    for (const k of a.keys) out.put(k, a.step(k) as Part)
    for (const k of b.keys) out.put(k, unite(out.step(k), b.step(k), at) as Part)
    return out
  }
  if (a instanceof OpenSet && b instanceof OpenSet) return new OpenSet(RegoSet.of([...a.elements, ...b.elements]))
  if (a instanceof Leaf && b instanceof Leaf && equal(a.value, b.value)) return a
  throw keyConflict(at)
}

/** Base data and a document of rules at one place: objects member by member. Where both have a value, `base` is shown. */
export function mergeDocuments(base: Value, rules: Value): Value {
  if (!isObject(base) || !isObject(rules)) return base
  const builder = new ObjectBuilder()
  for (const [k, v] of objectEntries(rules)) builder.set(k, v)
  for (const [k, v] of objectEntries(base)) {
    const other = builder.get(k)
    builder.set(k, other === undefined ? v : mergeDocuments(v, other))
  }
  return builder.finish()
}
