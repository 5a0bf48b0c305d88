/**
 * A text that counts how often it is looked at. Searching for the next match may look far beyond it: `a.*b|a` in a text of `a` looks
 * at all that is left to find one letter, again and again. Where a match ends says nothing about that; this does.
 */
export class CountedText extends String {
  readonly #text: string
  #looks = 0

  constructor(text: string) {
    super(text)
    this.#text = text
  }

  override charCodeAt(at: number): number {
    this.#looks++
    return this.#text.charCodeAt(at)
  }

  override indexOf(search: string, from?: number): number {
    const found = this.#text.indexOf(search, from)
    // a search for a text is many times faster than a step of the engine
    this.#looks += ((found < 0 ? this.#text.length : found) - (from ?? 0)) >> 6
    return found
  }

  /** Looks since this was asked last. */
  takeLooks(): number {
    const looks = this.#looks
    this.#looks = 0
    return looks
  }
}
