import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { PostgresServer } from '../../packages/broker/src/store/testing/postgres-server.ts'

/** The cheapest durable commit of SQLite with the store's settings: one row, one flush. */
export function bareSqlite(directory: string): { run(): void; close(): void } {
  const db = new DatabaseSync(path.join(directory, 'bare.db'))
  db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full')
  db.exec('create table t (n integer primary key, b blob not null) strict')
  const insert = db.prepare('insert into t (b) values (?)')
  const row = new Uint8Array(256)
  return { run: () => void insert.run(row), close: () => db.close() }
}

/**
 * Watches what a PostgreSQL server writes ahead, without the page images that it adds the first time a page changes
 * after a checkpoint: the larger the store, the longer until each page had its turn.
 *
 * @returns Says how many bytes it were since.
 */
export async function watchWal(server: PostgresServer, database: string): Promise<() => Promise<number>> {
  const text = async (sql: string): Promise<string> =>
    String(Object.values((await server.sql(database, sql))[0] ?? {})[0])
  const at = 'select pg_current_wal_flush_lsn()::text'
  await server.sql(database, 'create extension if not exists pg_walinspect')
  const from = await text(at)
  return async () =>
    Number(await text(`select sum(record_size)::text from pg_get_wal_stats('${from}', '${await text(at)}')`))
}
