import { closeSync, openSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { VouchsafeError } from '@vouchsafe/core'
import { FileIdentity } from './file-identity.ts'
import { migrate } from './schema.ts'
import { type Runner, type StoreOptions, openStore } from './sql-store.ts'
import type { Result, Row, Statement, Steps } from './steps.ts'
import type { Store } from './store.ts'

export interface SqliteOptions extends StoreOptions {
  /** Path of the database file; made when missing. One process at a time may have it open. */
  readonly file: string
}

const DIALECT = { TEXT: 'text', BYTES: 'blob', INT: 'integer', TREE: 'strict, without rowid', ROWS: 'strict' }

/**
 * Opens the store in one file: write-ahead log, flushed at every commit.
 *
 * @throws {VouchsafeError} `store.locked` when another process has it open; `store.newer`; `store.unavailable`
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  return await openStore(new SqliteRunner(options.file, options.onStatement), options)
}

/**
 * A transaction runs to its end in one synchronous call, so two of them can never interleave on the one connection:
 * that is the queue of one. The price is that a commit holds up the process while the disk flushes; who needs more
 * moves to PostgreSQL.
 */
class SqliteRunner implements Runner {
  readonly #db: DatabaseSync
  readonly #identity: FileIdentity
  readonly #file: string
  readonly #prepared = new Map<string, Prepared>()
  readonly #onStatement: StoreOptions['onStatement']

  constructor(file: string, onStatement: StoreOptions['onStatement']) {
    this.#file = file
    this.#onStatement = onStatement
    this.#db = openLocked(file)
    try {
      this.#transaction(() => migrate(DIALECT))
      this.#identity = new FileIdentity([file, `${file}-wal`])
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  // async, so that what the steps throw arrives as a rejection
  async read<T>(steps: () => Steps<T>): Promise<T> {
    return this.#translate(() => this.#run(steps()))
  }

  async write<T>(steps: () => Steps<T>, committed?: (answer: T) => void): Promise<T> {
    const answer = this.#transaction(steps)
    committed?.(answer)
    // what went into a file that nobody will find again is not acknowledged
    this.#identity.assertSame()
    return answer
  }

  async close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close()
  }

  #transaction<T>(steps: () => Steps<T>): T {
    return this.#translate(() => {
      this.#db.exec('begin immediate')
      try {
        const answer = this.#run(steps())
        this.#db.exec('commit')
        return answer
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('rollback')
        throw error
      }
    })
  }

  #run<T>(steps: Steps<T>): T {
    let step = steps.next()
    while (step.done !== true) {
      step = steps.next(step.value.map((statement) => this.#execute(statement)))
    }
    return step.value
  }

  #execute(statement: Statement): Result {
    let prepared = this.#prepared.get(statement.sql)
    if (prepared === undefined) {
      // the transaction has locked the whole file already
      const query = this.#db.prepare(statement.sql.replace(/ for update$/, ''))
      prepared = { query, answers: query.columns().length > 0 }
      this.#prepared.set(statement.sql, prepared)
    }
    const result = run(prepared, statement)
    this.#onStatement?.(statement, result)
    return result
  }

  #translate<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw translated(error, this.#file)
    }
  }
}

interface Prepared {
  readonly query: StatementSync
  readonly answers: boolean
}

function run({ query, answers }: Prepared, { values }: Statement): Result {
  if (!answers) return { rows: [], changes: Number(query.run(...values).changes) }
  const rows = query.all(...values) as readonly Row[]
  return { rows, changes: rows.length }
}

function openLocked(file: string): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    makePrivate(file)
    db = new DatabaseSync(file, { timeout: 0, enableForeignKeyConstraints: true, allowExtension: false })
    // before anything is read, so that the lock is held from the first access and the log needs no shared memory
    db.exec('pragma locking_mode = exclusive')
    db.exec('pragma journal_mode = wal')
    db.exec('pragma synchronous = full')
    db.exec('pragma trusted_schema = off')
    db.exec('pragma cell_size_check = on')
    db.exec('begin immediate')
    db.exec('commit')
    assertPragma(db, 'journal_mode', 'wal')
    assertPragma(db, 'synchronous', 2)
    assertPragma(db, 'locking_mode', 'exclusive')
    return db
  } catch (error) {
    db?.close()
    if (primaryCode(error) === SQLITE_BUSY)
      throw new VouchsafeError(
        'store.locked',
        `${file} is open in another process; stop it, or use PostgreSQL for replicas`,
        {
          cause: error,
        },
      )
    throw translated(error, file)
  }
}

/**
 * Makes the file if there is none: SQLite itself would make it readable for others. A file that exists is not opened,
 * since closing it again would drop every lock that this process holds on it (POSIX: fcntl).
 */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'ax', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function assertPragma(db: DatabaseSync, name: string, wanted: string | number): void {
  const found = Object.values(db.prepare(`pragma ${name}`).get() ?? {})[0]
  if (found !== wanted) throw new VouchsafeError('store.unsafe', `SQLite ${name} is ${found}, wanted ${wanted}`)
}

const SQLITE_BUSY = 5
/** Busy, locked, no memory, read-only, I/O error, corrupt, full, cannot open, protocol, not a database. */
const UNAVAILABLE: readonly number[] = [SQLITE_BUSY, 6, 7, 8, 10, 11, 13, 14, 15, 26]

function translated(error: unknown, file: string): unknown {
  if (error instanceof VouchsafeError) return error
  const code = primaryCode(error)
  const system = (error as NodeJS.ErrnoException).syscall !== undefined
  if (system || (code !== undefined && UNAVAILABLE.includes(code)))
    return new VouchsafeError('store.unavailable', `${file}: ${(error as Error).message}`, { cause: error })
  return new VouchsafeError('internal', `store ${file}: ${(error as Error).message}`, { cause: error })
}

function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}
