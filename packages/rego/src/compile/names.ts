import type { VarTerm } from '../syntax/ast.ts'
import type { Location } from '../syntax/source.ts'

/** Makes variables that no text can hold, and remembers what they stand for. */
export class Names {
  readonly #written = new Map<string, string>()
  #count = 0

  fresh(loc: Location): VarTerm {
    return { kind: 'var', loc, name: `%${this.#count++}` }
  }

  /** A variable of its own for one that the text declares. */
  declare(written: string): string {
    const name = `%${this.#count++}`
    this.#written.set(name, written)
    return name
  }

  /** The name in the text, also for a name that was never changed. */
  written(name: string): string {
    return this.#written.get(name) ?? name
  }
}
