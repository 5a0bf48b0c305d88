import pg from 'pg'
import { VouchsafeError } from '@vouchsafe/core'
import { migrate } from './schema.ts'
import { type Runner, type StoreOptions, openStore } from './sql-store.ts'
import { type Result, type Statement, type Steps, all, text } from './steps.ts'
import type { Store } from './store.ts'

export interface PostgresOptions extends StoreOptions {
  /** A connection as `pg` understands it: a `postgres://` address or its parts. The password belongs in a file or PGPASSFILE. */
  readonly connection: string | pg.ClientConfig
  /** Connections that this process may hold open. 10 unless told. */
  readonly maxConnections?: number
}

// "C": text compares as bytes, as it does in SQLite and JavaScript
const DIALECT = { TEXT: 'text collate "C"', BYTES: 'bytea', INT: 'bigint', TREE: '', ROWS: '' }

/** Any number will do, as long as every replica takes the same. */
const MIGRATION_LOCK = 7_236_541

/**
 * Opens the store on PostgreSQL 15 or later, for brokers that run as replicas.
 *
 * @throws {VouchsafeError} `store.unsafe` when the server may lose what it acknowledged; `store.newer`;
 *   `store.unavailable`
 */
export async function openPostgresStore(options: PostgresOptions): Promise<Store> {
  const runner = new PostgresRunner(options)
  try {
    await runner.write(function* () {
      yield* all('select pg_advisory_xact_lock(?)', MIGRATION_LOCK)
      yield* migrate(DIALECT)
    })
  } catch (error) {
    await runner.close()
    throw error
  }
  return await openStore(runner, options)
}

class PostgresRunner implements Runner {
  readonly #pool: pg.Pool
  /** Connections whose settings were looked at. */
  readonly #checked = new WeakSet<pg.PoolClient>()
  readonly #texts = new Map<string, { readonly name: string; readonly text: string }>()
  readonly #onStatement: StoreOptions['onStatement']

  constructor({ connection, maxConnections = 10, onStatement }: PostgresOptions) {
    this.#onStatement = onStatement
    this.#pool = new pg.Pool({
      max: maxConnections,
      connectionTimeoutMillis: 5_000,
      // a server that hangs is refused, not waited for (I02); and a replica that hangs does not keep the log's lock
      query_timeout: 15_000,
      lock_timeout: 10_000,
      statement_timeout: 12_000,
      idle_in_transaction_session_timeout: 10_000,
      ...(typeof connection === 'string' ? { connectionString: connection } : connection),
      types: { getTypeParser },
      // statements that do not wait for each other are sent at once
      pipeline: true,
    })
    // an idle connection that breaks is replaced at its next use; without a listener it would end the process
    this.#pool.on('error', () => undefined)
  }

  async read<T>(steps: () => Steps<T>): Promise<T> {
    return await this.#connected((client) => this.#run(client, steps()))
  }

  async write<T>(steps: () => Steps<T>, committed?: (answer: T) => void): Promise<T> {
    return await this.#connected(async (client) => {
      // read committed: after the head's lock each statement sees all that was committed before it (decision 15).
      // Sent along with the first statements; nothing of the second journey leaves before it has succeeded.
      const begun = client.query('begin isolation level read committed read write')
      let answer: T
      try {
        answer = await this.#run(client, steps(), begun)
      } catch (error) {
        if (error instanceof VouchsafeError) await client.query('rollback')
        throw error
      }
      await client.query('commit')
      committed?.(answer)
      return answer
    })
  }

  async close(): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end()
  }

  async #connected<T>(use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | undefined
    try {
      client = await this.#pool.connect()
      if (!this.#checked.has(client)) {
        // a connection that breaks between two statements says so here; unheard, it would end the process
        client.on('error', () => undefined)
        await assertDurable(client)
        this.#checked.add(client)
      }
      const answer = await use(client)
      client.release()
      return answer
    } catch (error) {
      // after an error of the database or the network nobody knows what state the connection is in
      client?.release(error instanceof VouchsafeError ? undefined : (error as Error))
      throw translated(error)
    }
  }

  async #run<T>(client: pg.PoolClient, steps: Steps<T>, begun?: Promise<unknown>): Promise<T> {
    let step = steps.next()
    while (step.done !== true) {
      const results = step.value.map((statement) => this.#execute(client, statement))
      // all of them, so that none is left without somebody who hears of its failure
      const settled = await Promise.allSettled([begun, ...results])
      const failed = settled.find((s) => s.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      step = steps.next(await Promise.all(results))
    }
    await begun
    return step.value
  }

  async #execute(client: pg.PoolClient, statement: Statement): Promise<Result> {
    const values = statement.values.map((v) =>
      v instanceof Uint8Array ? Buffer.from(v.buffer, v.byteOffset, v.length) : v,
    )
    const { rows, rowCount } = await client.query({ ...this.#numbered(statement.sql), values })
    const result = { rows, changes: rowCount ?? 0 }
    this.#onStatement?.(statement, result)
    return result
  }

  /** `?` becomes `$1`, `$2`, …; the name lets the server keep its plan. */
  #numbered(sql: string): { readonly name: string; readonly text: string } {
    let known = this.#texts.get(sql)
    if (known === undefined) {
      let n = 0
      known = { name: `v${this.#texts.size}`, text: sql.replace(/\?/g, () => `$${++n}`) }
      this.#texts.set(sql, known)
    }
    return known
  }
}

const INT8 = 20

/** PostgreSQL's 64-bit integers as numbers; `integer()` refuses one that is not safe. Everything else as `pg` has it. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  return oid === INT8 ? Number : (pg.types.getTypeParser(oid, format as 'text') as (value: string) => unknown)
}

/** Decision 15: a server that may forget what it has confirmed is no store. */
async function assertDurable(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query(
    `select name, setting from pg_settings
     where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'server_encoding')`,
  )
  const settings = new Map(rows.map((row) => [text(row, 'name'), text(row, 'setting')]))
  for (const name of ['fsync', 'full_page_writes', 'synchronous_commit']) {
    const found = settings.get(name)
    if (found === undefined || found === 'off')
      throw new VouchsafeError(
        'store.unsafe',
        `PostgreSQL runs with ${name} ${found ?? 'unknown'}: it may lose what it confirmed. Turn it on`,
      )
  }
  if (settings.get('server_encoding') !== 'UTF8')
    throw new VouchsafeError(
      'store.unsafe',
      `the database’s encoding is ${settings.get('server_encoding')}, wanted UTF8`,
    )
}

/** Classes of SQLSTATE that say nothing about our statement: connection, rollback, resources, operator, system. */
const UNAVAILABLE = /^(?:08|25006|40|53|55P03|57|58|XX)/

function translated(error: unknown): unknown {
  if (error instanceof VouchsafeError) return error
  const { message } = error as Error
  // what did not come from the server is the network, a timeout, a full pool
  const sqlState = error instanceof pg.DatabaseError ? (error.code ?? '') : undefined
  if (sqlState === undefined || UNAVAILABLE.test(sqlState))
    return new VouchsafeError('store.unavailable', `PostgreSQL: ${message}`, { cause: error })
  return new VouchsafeError('internal', `PostgreSQL ${sqlState}: ${message}`, { cause: error })
}
