import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openSqliteStore } from '../sqlite.ts'
import type { Database, StoreKind } from './harness.ts'

/** SQLite files in a temporary directory of this test's own. */
export class SqliteFiles implements StoreKind {
  readonly name = 'SQLite'
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-sqlite-'))
  #files = 0

  async database(): Promise<Database & { readonly file: string }> {
    const file = path.join(this.#directory, `${++this.#files}.db`)
    return {
      file,
      open: (options) => openSqliteStore({ file, ...options }),
      async meddle(...statements) {
        const db = new DatabaseSync(file)
        for (const sql of statements) db.exec(sql)
        db.close()
      },
      copy: async () => {
        const copy = await this.database()
        copyFileSync(file, copy.file)
        return copy
      },
      racerArguments: ['sqlite', file],
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
