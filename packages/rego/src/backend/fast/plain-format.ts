import type { Value } from '../../value/index.ts'

/**
 * A format for `sprintf` of nothing but text and bare `%s`, `%d`, `%v`, as nearly all are: what comes before, between and after the
 * verbs, and the verbs.
 */
export class PlainFormat {
  readonly #texts: readonly string[]
  readonly #verbs: readonly string[]

  private constructor(texts: readonly string[], verbs: readonly string[]) {
    this.#texts = texts
    this.#verbs = verbs
  }

  /** @returns undefined if there is more to the format than that */
  static of(format: string): PlainFormat | undefined {
    const texts = format.split(/%[sdv]/)
    if (texts.some((t) => t.includes('%'))) return undefined
    return new PlainFormat(texts, format.match(/%[sdv]/g) ?? [])
  }

  /** @returns undefined for operands that have other forms than their own: then `sprintf` itself has to say */
  print(values: readonly Value[]): string | undefined {
    const texts = this.#texts
    const verbs = this.#verbs
    if (values.length !== verbs.length) return undefined
    let out = texts[0] as string
    for (let i = 0; i < verbs.length; i++) {
      const v = values[i]
      const verb = verbs[i]
      if (typeof v === 'string' ? verb === '%d' : verb === '%s' || !Number.isSafeInteger(v) || Object.is(v, -0)) {
        return undefined
      }
      out += `${v as string | number}${texts[i + 1]}`
    }
    return out
  }
}
