import { copyFileSync, mkdtempSync } from 'node:fs'
import path from 'node:path'
import { tmpdir } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { rmSync } from 'node:fs'
import { afterAll } from 'vitest'
import { openSqliteStore } from './sqlite.ts'
import { describeStore } from './store.contract.ts'
import type { Database, StoreKind } from './testing/harness.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-sqlite-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
function database(): Database {
  const file = path.join(directory, `${++files}.db`)
  return {
    open: (options) => openSqliteStore({ file, ...options }),
    async meddle(...statements) {
      const db = new DatabaseSync(file)
      for (const sql of statements) db.exec(sql)
      db.close()
    },
    async copy() {
      copyFileSync(file, path.join(directory, `${files + 1}.db`))
      return database()
    },
    racerArguments: ['sqlite', file],
  }
}

const sqlite: StoreKind = { name: 'SQLite', database: async () => database() }

describeStore(sqlite)
