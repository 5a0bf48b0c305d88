import { isArray, isRecord, objectKeys, RegoMap, RegoSet, sortedElements, type Value } from '../../value/index.ts'

/** A collection on the way: its members, and their keys but for arrays. */
class Frame {
  readonly keys: readonly Value[] | undefined
  readonly values: readonly Value[]
  readonly outer: Frame | undefined
  at = 0

  constructor(keys: readonly Value[] | undefined, values: readonly Value[], outer: Frame | undefined) {
    this.keys = keys
    this.values = values
    this.outer = outer
  }
}

/** Goes through a value and everything in it, the whole first: `walk` one step at a time, without building its answers. */
export class Walker {
  value: Value
  #frame: Frame | undefined
  readonly #path: Value[] = []
  readonly #ordered: boolean
  #started = false

  /** @param ordered - In Rego order; else in any order, which is cheaper. */
  constructor(root: Value, ordered: boolean) {
    this.value = root
    this.#ordered = ordered
  }

  /** The keys that lead to `value`. Lent: the array changes with the next step. */
  get path(): readonly Value[] {
    return this.#path
  }

  next(): boolean {
    if (!this.#started) {
      this.#started = true
      return true
    }
    const { value } = this
    if (typeof value === 'object' && value !== null) this.#enter(value)
    for (let frame = this.#frame; frame !== undefined; frame = this.#frame) {
      const i = frame.at
      const { keys, values } = frame
      if (i < values.length) {
        frame.at = i + 1
        this.#path[this.#path.length - 1] = keys === undefined ? i : (keys[i] as Value)
        this.value = values[i] as Value
        return true
      }
      this.#frame = frame.outer
      this.#path.pop()
    }
    return false
  }

  #enter(v: Value): void {
    let keys: readonly Value[] | undefined
    let values: readonly Value[]
    if (isArray(v)) values = v
    else if (v instanceof RegoSet) keys = values = this.#ordered ? sortedElements(v) : v.elements()
    else if (v instanceof RegoMap) {
      keys = this.#ordered ? objectKeys(v) : v.keys()
      values = keys.map((k) => v.get(k) as Value)
    } else if (!isRecord(v)) return
    else if (this.#ordered) {
      keys = objectKeys(v)
      values = (keys as readonly string[]).map((k) => v[k] as Value)
    } else {
      keys = Object.keys(v)
      values = Object.values(v)
    }
    this.#frame = new Frame(keys, values, this.#frame)
    this.#path.push(null)
  }
}
