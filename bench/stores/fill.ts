import { createWriteStream, chmodSync } from 'node:fs'
import { once } from 'node:events'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { PostgresServer } from '../../packages/broker/src/store/testing/postgres-server.ts'
import type { HistoryEnd, TableRow } from './history.ts'

/** Puts a history into a closed SQLite file, past the store and without flushing. */
export function fillSqlite(file: string, tenant: string, rows: Generator<TableRow, HistoryEnd>): void {
  const db = new DatabaseSync(file)
  db.exec('pragma synchronous = off; begin')
  const inserts = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  let next = rows.next()
  for (; next.done !== true; next = rows.next()) {
    const { table, row } = next.value
    let insert = inserts.get(table)
    if (insert === undefined) {
      const columns = Object.keys(row)
      insert = db.prepare(`insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`)
      inserts.set(table, insert)
    }
    insert.run(...Object.values(row))
  }
  const { size, frontier, checkpoint } = next.value
  db.prepare('update log_heads set size = ?, frontier = ?, checkpoint = ? where tenant = ?').run(
    size,
    frontier,
    checkpoint,
    tenant,
  )
  db.exec('commit; pragma wal_checkpoint(truncate); analyze')
  db.close()
}

/** Puts a history into a database by COPY, one file a table. */
export async function fillPostgres(
  server: PostgresServer,
  database: string,
  tenant: string,
  rows: Generator<TableRow, HistoryEnd>,
): Promise<void> {
  const files = new Map<
    string,
    { readonly file: string; readonly columns: string; readonly out: ReturnType<typeof createWriteStream> }
  >()
  let next = rows.next()
  for (; next.done !== true; next = rows.next()) {
    const { table, row } = next.value
    let copy = files.get(table)
    if (copy === undefined) {
      const file = path.join(server.directory, `${table}.copy`)
      copy = { file, columns: Object.keys(row).join(', '), out: createWriteStream(file) }
      files.set(table, copy)
    }
    const line = `${Object.values(row).map(copyText).join('\t')}\n`
    if (!copy.out.write(line)) await once(copy.out, 'drain')
  }
  for (const [table, { file, columns, out }] of files) {
    out.end()
    await once(out, 'close')
    chmodSync(file, 0o644)
    await server.sql(database, `copy ${table} (${columns}) from '${file}'`)
  }
  const { size, frontier, checkpoint } = next.value
  const head = `update log_heads set size = ${size}, frontier = '\\x${Buffer.from(frontier).toString('hex')}'::bytea, checkpoint = '${checkpoint}' where tenant = '${tenant}'`
  await server.sql(database, head, 'vacuum analyze', 'checkpoint')
}

function copyText(value: TableRow['row'][string]): string {
  if (value === null) return '\\N'
  if (value instanceof Uint8Array) return `\\\\x${Buffer.from(value).toString('hex')}`
  return String(value).replace(/[\\\t\n\r]/g, (c) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' })[c] ?? c)
}
