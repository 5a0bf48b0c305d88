/**
 * A text that counts how often it is looked at. Searching for the next match may look far beyond it: `a.*b|a` in a text of `a` looks
 * at all that is left to find one letter, again and again. Where a match ends says nothing about that; this does.
 *
 * It has what the engine asks a text for, but is no `String`: once anything inherits from `String.prototype`, V8 compiles every
 * `charCodeAt` of the whole process to several times slower code.
 */
export class CountedText {
  readonly #text: string
  readonly length: number
  #looks = 0

  constructor(text: string) {
    this.#text = text
    this.length = text.length
  }

  /** What the engine takes for a string. */
  get [Symbol.toStringTag](): string {
    return 'String'
  }

  charCodeAt(at: number): number {
    this.#looks++
    return this.#text.charCodeAt(at)
  }

  substring(start: number, end?: number): string {
    return this.#text.substring(start, end)
  }

  indexOf(search: string, from?: number): number {
    const found = this.#text.indexOf(search, from)
    // a search for a text is many times faster than a step of the engine
    this.#looks += ((found < 0 ? this.#text.length : found) - (from ?? 0)) >> 6
    return found
  }

  toString(): string {
    return this.#text
  }

  /** Looks since this was asked last. */
  takeLooks(): number {
    const looks = this.#looks
    this.#looks = 0
    return looks
  }
}
