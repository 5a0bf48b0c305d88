import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { appendLeaf, EMPTY_FRONTIER, leafHash } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { fileHeadGuard } from '../packages/broker/src/store/head-guard.ts'
import { openPostgresStore } from '../packages/broker/src/store/postgres.ts'
import { openSqliteStore } from '../packages/broker/src/store/sqlite.ts'
import type { Statement } from '../packages/broker/src/store/steps.ts'
import type { Store } from '../packages/broker/src/store/store.ts'
import { PostgresServer, missingPostgres } from '../packages/broker/src/store/testing/postgres-server.ts'
import { Tenancy, testSigner } from '../packages/broker/src/store/testing/tenancy.ts'
import { fillPostgres, fillSqlite } from './stores/fill.ts'
import { bareSqlite, watchWal } from './stores/databases.ts'
import { FLAT, type NamedSize, SIZES, type Size, history } from './stores/history.ts'
import { type Spread, interleaved, spread } from './stores/measure.ts'
import { Tally, show } from './stores/tally.ts'

/*
 * `npm run bench -- ledger`: the release transaction against a bare durable commit of the same database, and how it grows
 * with what the store holds. Ratios, since the machine is anybody's; what runs in turn shares its noise.
 */
const ROUNDS = 15
const TIMES = 40

interface Measured {
  readonly store: string
  readonly release: Spread
  readonly bareCommit: Spread
  readonly ratio: Spread
  readonly growth: readonly {
    readonly size: string
    readonly ratio: Spread
    readonly statements: number
    readonly bytes: number
    readonly written: number
  }[]
}

/** One store of one size, ready to release. */
interface Subject {
  readonly name: string
  readonly store: Store
  release(): Promise<unknown>
  /** Statements and bytes of the last release, and bytes that it made the database write. */
  cost(): Promise<{ readonly statements: number; readonly bytes: number; readonly written: number }>
}

const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-bench-'))

/** A kind of store: how to open one of a size, and what its cheapest durable commit is. */
interface Kind {
  readonly name: string
  subject(size: NamedSize): Promise<Subject>
  bareCommit(): Promise<() => Promise<unknown> | void>
  close(): Promise<void>
}

async function subjectOf(
  kind: string,
  name: string,
  open: (onStatement: (s: Statement) => void, guard: string) => Promise<Store>,
  fill: (rows: ReturnType<typeof history>) => Promise<void> | void,
  size: Size,
  watchWrites: () => Promise<() => Promise<number>>,
): Promise<Subject> {
  const seen = { statements: 0, bytes: 0 }
  const count = ({ values }: Statement): void => {
    seen.statements++
    for (const value of values) seen.bytes += value instanceof Uint8Array ? value.length : String(value).length
  }
  const guard = path.join(directory, `heads-${kind}${name.replaceAll(/\W/g, '')}`)
  const signer = testSigner('clinic')
  const empty = await open(count, `${guard}-new`)
  const begun = await new Tenancy(empty, 'clinic', signer).begin()
  let frontier = EMPTY_FRONTIER
  for (const { entry } of await empty.entries('clinic', 0, 10))
    frontier = appendLeaf(frontier, leafHash(entry, nodeCrypto), nodeCrypto).frontier
  await empty.close()
  await fill(history('clinic', size, { frontier, origin: begun.signer.name }, signer))
  const store = await open(count, guard)
  const t = new Tenancy(store, 'clinic', signer)
  const { epochs } = await store.head('clinic')
  const release = async (): Promise<unknown> => store.decide(await t.release({ epochs }))
  return {
    name,
    store,
    release,
    async cost() {
      const written = await watchWrites()
      seen.statements = 0
      seen.bytes = 0
      const times = 200
      for (let n = 0; n < times; n++) await release()
      const wrote = await written()
      return {
        statements: seen.statements / times,
        bytes: Math.round(seen.bytes / times),
        written: Math.round(wrote / times),
      }
    },
  }
}

/** What this process handed to the kernel for writing. */
function bytesWritten(): number {
  return Number(/wchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}

function sqliteKind(): Kind {
  const opened: { close(): unknown }[] = []
  return {
    name: 'SQLite',
    async subject(size) {
      const file = path.join(directory, `${size.entries}.db`)
      const subject = await subjectOf(
        'SQLite',
        size.name,
        (onStatement, guard) =>
          openSqliteStore({
            file,
            guard: fileHeadGuard(guard),
            clock: () => new Date(),
            adoptHeads: true,
            onStatement,
          }),
        (rows) => fillSqlite(file, 'clinic', rows),
        size,
        async () => {
          const before = bytesWritten()
          return async () => bytesWritten() - before
        },
      )
      opened.push(subject.store)
      return subject
    },
    async bareCommit() {
      const bare = bareSqlite(directory)
      opened.push(bare)
      return bare.run
    },
    async close() {
      for (const one of opened) await one.close()
    },
  }
}

function postgresKind(): Kind {
  const server = PostgresServer.start(['max_wal_size=8GB'])
  const opened: { close(): unknown }[] = []
  return {
    name: 'PostgreSQL',
    async subject(size) {
      const database = await server.create()
      const subject = await subjectOf(
        'PostgreSQL',
        size.name,
        (onStatement, guard) =>
          openPostgresStore({
            connection: server.connection(database),
            guard: fileHeadGuard(guard),
            clock: () => new Date(),
            adoptHeads: true,
            onStatement,
          }),
        (rows) => fillPostgres(server, database, 'clinic', rows),
        size,
        () => watchWal(server, database),
      )
      opened.push(subject.store)
      return subject
    },
    async bareCommit() {
      const client = new pg.Client(server.connection(await server.create()))
      await client.connect()
      opened.push({ close: () => client.end() })
      await client.query('create table t (n bigserial primary key, b bytea not null)')
      const row = Buffer.alloc(256)
      return () => client.query({ name: 'bare', text: 'insert into t (b) values ($1)', values: [row] })
    },
    async close() {
      for (const one of opened) await one.close()
      server.stop()
    },
  }
}

async function measure(kind: Kind): Promise<Measured> {
  try {
    const subjects: Subject[] = []
    for (const size of SIZES) {
      console.error(`${kind.name}: filling a store with ${size.name}`)
      subjects.push(await kind.subject(size))
    }
    const [smallest] = subjects
    if (smallest === undefined) throw new Error('no sizes')
    const bare = await kind.bareCommit()
    for (const run of [bare, ...subjects.map((s) => s.release)]) for (let n = 0; n < 60; n++) await run() // warm
    const cost = await interleaved(ROUNDS, TIMES, [bare, smallest.release])
    const growth = await interleaved(
      ROUNDS,
      TIMES,
      subjects.map((s) => s.release),
    )
    const costs: Awaited<ReturnType<Subject['cost']>>[] = []
    for (const subject of subjects) costs.push(await subject.cost())
    return {
      store: kind.name,
      bareCommit: spread(cost.times[0] ?? []),
      release: spread(cost.times[1] ?? []),
      ratio: spread(cost.ratios[1] ?? []),
      growth: subjects.map((s, i) => ({
        size: s.name,
        ratio: spread(growth.ratios[i] ?? []),
        ...(costs[i] ?? { statements: 0, bytes: 0, written: 0 }),
      })),
    }
  } finally {
    await kind.close()
  }
}

const tally = new Tally()
const results: Measured[] = []
try {
  for (const kind of [sqliteKind, ...(missingPostgres() ? [] : [postgresKind])]) {
    const measured = await measure(kind())
    results.push(measured)
    const { store, ratio, growth } = measured
    console.log(`${store}: a release takes ${show(ratio)} times a bare commit of one row`)
    const [small, ...larger] = growth
    for (const size of larger) {
      if (small === undefined) continue
      tally.judge(
        `${store}, ${size.size}: ${show(size.ratio)} times the smallest store, at most ${FLAT}`,
        size.ratio.median <= FLAT,
      )
      const same = `${size.statements} statements, ${size.bytes} bytes sent, ${size.written} written`
      const flat =
        size.statements === small.statements && size.bytes <= small.bytes * FLAT && size.written <= small.written * FLAT
      tally.judge(
        `${store}, ${size.size}: ${same}; smallest ${small.statements}, ${small.bytes}, ${small.written}`,
        flat,
      )
    }
  }
  tally.end('ledger', { results })
} finally {
  rmSync(directory, { recursive: true, force: true })
}
