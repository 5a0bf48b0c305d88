/** A cache that forgets its oldest entry when it is full: what an attacker feeds it stays bounded. */
export class BoundedCache<V> {
  readonly #entries = new Map<string, V>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** The value of `key`, made once. What `make` throws is not remembered. */
  get(key: string, make: (key: string) => V): V {
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const made = make(key)
    if (this.#entries.size >= this.#max) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    this.#entries.set(key, made)
    return made
  }
}
