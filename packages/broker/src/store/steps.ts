import { VouchsafeError } from '@vouchsafe/core'

/*
 * What the two stores share: what to ask a database, in which order, and what the answers mean. A transaction is a
 * generator that yields statements and is given results; `sqlite.ts` runs it to the end in one synchronous call,
 * `postgres.ts` awaits each statement. So the order of decision 15 is written once, and there is no driver to share.
 */

/** What travels to and from a database. Times are milliseconds since 1970; flags are 0 and 1. */
export type Value = string | number | Uint8Array | null

export interface Statement {
  /** Placeholders are `?`. `for update` locks a row where the database does not lock the whole of itself. */
  readonly sql: string
  readonly values: readonly Value[]
}

export interface Result {
  readonly rows: readonly Row[]
  /** Rows inserted, updated or deleted. */
  readonly changes: number
}

/**
 * A conversation with a database that ends in a `T`. Statements that are yielded together do not wait for each other's
 * answers, so they cost one journey; they are carried out in their order all the same.
 */
export type Steps<T> = Generator<readonly Statement[], T, readonly Result[]>

export function statement(sql: string, ...values: readonly Value[]): Statement {
  return { sql, values }
}

/** One journey: the results, in the order of the statements. */
export function* together(statements: readonly Statement[]): Steps<readonly Result[]> {
  return statements.length === 0 ? [] : yield statements
}

export function* all(sql: string, ...values: readonly Value[]): Steps<readonly Row[]> {
  const [result] = yield [{ sql, values }]
  return result?.rows ?? []
}

/** The only row, or null. */
export function* one(sql: string, ...values: readonly Value[]): Steps<Row | null> {
  return onlyRow(yield* all(sql, ...values))
}

export function onlyRow(rows: readonly Row[] | undefined): Row | null {
  if (rows !== undefined && rows.length > 1)
    throw new VouchsafeError('internal', `${rows.length} rows where one was wanted`)
  return rows?.[0] ?? null
}

/** How many rows changed. */
export function* change(sql: string, ...values: readonly Value[]): Steps<number> {
  const [result] = yield [{ sql, values }]
  return result?.changes ?? 0
}

/** A statement that must have an effect: `refuse` throws when it had not, and the transaction is rolled back. */
export interface Demand {
  readonly statement: Statement
  readonly refuse: (result: Result) => void
}

/** A demand that one row changes; `otherwise` is thrown when none does. */
export function demand(statement: Statement, otherwise: () => VouchsafeError): Demand {
  return {
    statement,
    refuse({ changes }) {
      if (changes === 0) throw otherwise()
    },
  }
}

/** Sends all demands in one journey, then looks at each answer, in order. */
export function* insist(demands: readonly Demand[]): Steps<readonly Result[]> {
  const results = yield* together(demands.map((d) => d.statement))
  demands.forEach((d, i) => {
    const result = results[i]
    if (result === undefined) throw new VouchsafeError('internal', `no answer to ${d.statement.sql}`)
    d.refuse(result)
  })
  return results
}

/** A row as the database gave it; the readers below refuse a column of another kind. */
export type Row = Readonly<Record<string, unknown>>

export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw wrongColumn(column, 'text', value)
  return value
}

export function integer(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrongColumn(column, 'an integer', value)
  return value
}

/** A copy of its own: drivers hand out views of pooled memory. */
export function bytes(row: Row, column: string): Uint8Array<ArrayBuffer> {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw wrongColumn(column, 'bytes', value)
  return new Uint8Array(value)
}

export function instant(row: Row, column: string): Date {
  return new Date(integer(row, column))
}

/** Applies a reader to a column that may be null. */
export function optional<T>(row: Row, column: string, read: (row: Row, column: string) => T): T | null {
  return row[column] === null ? null : read(row, column)
}

function wrongColumn(column: string, wanted: string, value: unknown): VouchsafeError {
  return new VouchsafeError(
    'internal',
    `column ${column}: wanted ${wanted}, found ${value === null ? 'null' : typeof value}`,
  )
}
