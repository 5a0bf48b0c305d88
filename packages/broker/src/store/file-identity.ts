import { statSync } from 'node:fs'
import { VouchsafeError } from '@vouchsafe/core'

/**
 * Tells whether files are still the ones that were opened. Somebody may delete, move or replace a file that a process
 * writes to, and the writes would go on into nothing (I03).
 */
export class FileIdentity {
  readonly #files: ReadonlyMap<string, string>

  constructor(files: readonly string[]) {
    this.#files = new Map(files.map((file) => [file, identityOf(file)]))
  }

  /** @throws {VouchsafeError} `store.unavailable` when one of them is gone or another */
  assertSame(): void {
    for (const [file, known] of this.#files) {
      if (identityOf(file) !== known)
        throw new VouchsafeError(
          'store.unavailable',
          `${file} was removed or replaced while it was open: stop and restore it`,
        )
    }
  }
}

function identityOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? 'nothing' : `${stat.dev}:${stat.ino}`
}
