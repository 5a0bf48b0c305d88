import type { CollateralEntry } from './entry.ts'

/** Where raw answers are kept. Untrusted: whatever comes out of it is verified again. */
export interface CollateralStore {
  get(key: string): Promise<CollateralEntry | undefined>
  put(entry: CollateralEntry): Promise<void>
  delete(key: string): Promise<void>
  keys(): Promise<readonly string[]>
}

/** Keeps entries as long as the process lives; for browsers, tests, and machines without a disk. */
export class MemoryCollateralStore implements CollateralStore {
  readonly #entries = new Map<string, CollateralEntry>()

  async get(key: string): Promise<CollateralEntry | undefined> {
    return this.#entries.get(key)
  }

  async put(entry: CollateralEntry): Promise<void> {
    this.#entries.set(entry.key, entry)
  }

  async delete(key: string): Promise<void> {
    this.#entries.delete(key)
  }

  async keys(): Promise<readonly string[]> {
    return [...this.#entries.keys()].toSorted()
  }
}
