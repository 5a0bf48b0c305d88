import type { Builtin } from '../../builtins/index.ts'
import type { Value } from '../../value/index.ts'

/**
 * Collects the text of generated code. Whatever comes from a policy goes into the tables `K` and is named by number: the text
 * holds only names of our own, numbers, and member names as JSON strings.
 */
export class Writer {
  readonly constants: unknown[] = []
  readonly #constantIds = new Map<unknown, number>()
  readonly #lines: string[] = []
  #labels = 0

  line(text: string): void {
    this.#lines.push(text)
  }

  label(prefix: string): string {
    return `${prefix}${this.#labels++}`
  }

  get text(): string {
    return this.#lines.join('\n')
  }

  /** A reference to anything that is not text. */
  constant(value: unknown): string {
    let id = this.#constantIds.get(value)
    if (id === undefined) {
      id = this.constants.length
      this.constants.push(value)
      this.#constantIds.set(value, id)
    }
    return `K${id}`
  }

  /** A value as an expression. */
  value(v: Value): string {
    if (v === null || typeof v === 'boolean') return String(v)
    if (typeof v === 'number') return `(${Object.is(v, -0) ? '-0' : v})`
    if (typeof v === 'string') return JSON.stringify(v)
    return this.constant(v)
  }

  builtin(b: Builtin): string {
    return this.constant(b)
  }
}
