import type { Location } from '../syntax/source.ts'
import {
  equal,
  isObject,
  objectEntries,
  ObjectBuilder,
  RegoMap,
  RegoSet,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { keyConflict } from './errors.ts'

/** Collects what rules with variables in their heads add: values and sets at paths of keys. */
export class NestedDocument {
  readonly #root = new Branch()

  /** @throws {RegoError} `eval_conflict_error` where another value is at the path, above or below it */
  add(path: readonly Value[], leaf: Value, isElement: boolean, at: Location | undefined): boolean {
    let branch = this.#root
    const last = path.length - 1
    for (let i = 0; i < last; i++) {
      const found = branch.get(path[i] as Value)
      if (found === undefined) branch = branch.put(path[i] as Value, new Branch())
      else if (found instanceof Branch) branch = found
      else throw keyConflict(at)
    }
    const key = path[last] as Value
    const found = branch.get(key)
    if (isElement) {
      if (found === undefined) branch.put(key, new OpenSet()).elements.add(leaf)
      else if (found instanceof OpenSet) return found.elements.add(leaf)
      else throw keyConflict(at)
      return true
    }
    if (found === undefined) branch.put(key, new Leaf(leaf))
    else if (!(found instanceof Leaf) || !equal(found.value, leaf)) throw keyConflict(at)
    else return false
    return true
  }

  finish(): Value {
    return this.#root.finish()
  }
}

class Leaf {
  readonly value: Value

  constructor(value: Value) {
    this.value = value
  }

  finish(): Value {
    return this.value
  }
}

class OpenSet {
  readonly elements = new RegoSet()

  finish(): Value {
    return this.elements
  }
}

type Part = Leaf | OpenSet | Branch

class Branch {
  readonly #index = new RegoMap()
  readonly #keys: Value[] = []
  readonly #parts: Part[] = []

  get(key: Value): Part | undefined {
    const at = this.#index.get(key)
    return typeof at === 'number' ? this.#parts[at] : undefined
  }

  put<P extends Part>(key: Value, part: P): P {
    this.#index.set(key, this.#parts.length)
    this.#keys.push(key)
    this.#parts.push(part)
    return part
  }

  finish(): Value {
    const builder = new ObjectBuilder()
    for (const [i, key] of this.#keys.entries()) builder.set(key, (this.#parts[i] as Part).finish())
    return builder.finish()
  }
}

/** Two documents at one place: objects member by member. Where both have a value, `first` wins. */
export function mergeDocuments(first: Value, second: Value): Value {
  if (!isObject(first) || !isObject(second)) return first
  return merge(first, second, (a) => a)
}

/** The same for documents that rules made: two values for one key are a conflict. */
export function uniteDocuments(a: Value, b: Value, at: Location | undefined): Value {
  if (isObject(a) && isObject(b)) {
    return merge(a, b, (x, y) => {
      if (!equal(x, y)) throw keyConflict(at)
      return x
    })
  }
  if (!equal(a, b)) throw keyConflict(at)
  return a
}

function merge(a: RegoRecord | RegoMap, b: RegoRecord | RegoMap, both: (x: Value, y: Value) => Value): Value {
  const builder = new ObjectBuilder()
  for (const [k, v] of objectEntries(a)) builder.set(k, v)
  for (const [k, v] of objectEntries(b)) {
    const known = builder.get(k)
    if (known === undefined) builder.set(k, v)
    else builder.set(k, isObject(known) && isObject(v) ? merge(known, v, both) : both(known, v))
  }
  return builder.finish()
}
