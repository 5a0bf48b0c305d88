import {
  isArray,
  isObject,
  objectKeys,
  RegoMap,
  RegoSet,
  sortedElements,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'

type Frame = { readonly of: Value; readonly keys: readonly Value[] | undefined; readonly size: number; at: number }

/** Goes through a value and everything in it, the whole first: `walk` one step at a time, without building its answers. */
export class Walker {
  value: Value
  readonly #frames: Frame[] = []
  readonly #path: Value[] = []
  readonly #ordered: boolean
  #started = false

  /** @param ordered - In Rego order; else in any order, which is cheaper. */
  constructor(root: Value, ordered: boolean) {
    this.value = root
    this.#ordered = ordered
  }

  /** The keys that lead to `value`. A new array each time. */
  get path(): Value[] {
    return this.#path.slice()
  }

  next(): boolean {
    if (!this.#started) {
      this.#started = true
      return true
    }
    const below = frameOf(this.value, this.#ordered)
    if (below !== undefined) {
      this.#frames.push(below)
      this.#path.push(null)
    }
    for (;;) {
      const frame = this.#frames.at(-1)
      if (frame === undefined) return false
      if (frame.at < frame.size) {
        this.#step(frame)
        return true
      }
      this.#frames.pop()
      this.#path.pop()
    }
  }

  #step(frame: Frame): void {
    const { of, keys } = frame
    const i = frame.at++
    if (keys === undefined) {
      this.#path[this.#path.length - 1] = i
      this.value = (of as readonly Value[])[i] as Value
      return
    }
    const key = keys[i] as Value
    this.#path[this.#path.length - 1] = key
    if (of instanceof RegoSet) this.value = key
    else if (of instanceof RegoMap) this.value = of.get(key) as Value
    else this.value = (of as RegoRecord)[key as string] as Value
  }
}

function frameOf(v: Value, ordered: boolean): Frame | undefined {
  if (typeof v !== 'object' || v === null) return undefined
  if (isArray(v)) return { of: v, keys: undefined, size: v.length, at: 0 }
  if (v instanceof RegoSet) {
    const keys = ordered ? sortedElements(v) : v.elements()
    return { of: v, keys, size: keys.length, at: 0 }
  }
  if (!isObject(v)) return undefined
  const keys = ordered || v instanceof RegoMap ? objectKeys(v) : Object.keys(v)
  return { of: v, keys, size: keys.length, at: 0 }
}
