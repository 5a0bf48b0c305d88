/** Longer octets than these are read each time. */
const MAX_OCTETS = 512

/**
 * What certain octets mean, where they were read before: nearly all certificates have the same object identifiers and
 * names. Found by all of the octets; for pure functions of them only. What comes later takes the place of something that
 * was there, which costs one more reading, and nothing else.
 */
export class KnownOctets<T> {
  readonly #entries: ({ readonly octets: Uint8Array; readonly value: T } | undefined)[]

  /** @param places - A power of two. */
  constructor(places: number) {
    this.#entries = new Array<undefined>(places).fill(undefined)
  }

  /** What the octets between two places mean. */
  find(bytes: Uint8Array, from: number, end: number): T | undefined {
    const entry = this.#entries[this.#placeOf(bytes, from, end)]
    if (entry?.octets.length !== end - from) return undefined
    for (let i = from; i < end; i++) if (bytes[i] !== entry.octets[i - from]) return undefined
    return entry.value
  }

  /** @param octets - Copied. */
  keep(octets: Uint8Array, value: T): T {
    if (octets.length <= MAX_OCTETS)
      this.#entries[this.#placeOf(octets, 0, octets.length)] = { octets: new Uint8Array(octets), value }
    return value
  }

  #placeOf(bytes: Uint8Array, from: number, end: number): number {
    const step = 1 + ((end - from) >> 5)
    let hash = end - from
    for (let i = from; i < end; i += step) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
    return ((hash >>> 16) ^ hash) & (this.#entries.length - 1)
  }
}
