import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openPostgresStore } from './postgres.ts'
import { describeRaces } from './races.contract.ts'
import { describeRestarts } from './restart.contract.ts'
import { describeStore } from './store.contract.ts'
import { Site } from './testing/harness.ts'
import { PostgresDatabases } from './testing/postgres-kind.ts'
import { missingPostgres } from './testing/postgres-server.ts'
import { refusal } from './testing/refusal.ts'
import { Tenancy } from './testing/tenancy.ts'

describe.skipIf(missingPostgres())('PostgreSQL', () => {
  const postgres = new PostgresDatabases()
  beforeAll(() => postgres.start())
  afterAll(() => postgres.stop())

  describeStore(postgres)
  describeRestarts(postgres)
  describeRaces(postgres, { races: 80, kills: 3, replicas: true })

  test.each(['fsync', 'full_page_writes', 'synchronous_commit'])('a server with %s off is refused', async (name) => {
    const { server } = postgres
    const database = await server.create()
    const site = new Site(await postgres.database())
    const opened = () =>
      openPostgresStore({ connection: server.connection(database), guard: site.heads(), clock: () => new Date() })
    await server.sql(database, `alter system set ${name} = off`, 'select pg_reload_conf()', 'select pg_sleep(0.1)')
    await expect(opened()).rejects.toEqual(refusal('store.unsafe', `${name} off`))
    await server.sql(database, `alter system reset ${name}`, 'select pg_reload_conf()', 'select pg_sleep(0.1)')
    await (await opened()).close()
    await site.remove()
  })

  test('a role or database with synchronous_commit off is refused as well', async () => {
    const database = await postgres.server.create()
    const site = new Site(await postgres.database())
    await postgres.server.sql('postgres', `alter database ${database} set synchronous_commit = off`)
    const opened = openPostgresStore({
      connection: postgres.server.connection(database),
      guard: site.heads(),
      clock: () => new Date(),
    })
    await expect(opened).rejects.toEqual(refusal('store.unsafe', 'synchronous_commit off'))
    await site.remove()
  })

  test('a database that is not UTF-8 is refused', async () => {
    const { server } = postgres
    await server.sql('postgres', `create database latin template template0 encoding 'LATIN1'`)
    const site = new Site(await postgres.database())
    const opened = openPostgresStore({
      connection: server.connection('latin'),
      guard: site.heads(),
      clock: () => new Date(),
    })
    await expect(opened).rejects.toEqual(refusal('store.unsafe', 'LATIN1'))
    await site.remove()
  })

  test('I01 while the server is away nothing is answered, and afterwards nothing acknowledged is missing', async () => {
    const site = new Site(await postgres.database())
    const t = await new Tenancy(await site.open(), 'clinic').begin()
    const wanted = await t.release()
    await t.store.decide(wanted)
    postgres.server.crash()
    try {
      await expect(t.apply()).rejects.toEqual(refusal('store.unavailable'))
      await expect(t.store.head('clinic')).rejects.toEqual(refusal('store.unavailable'))
    } finally {
      postgres.server.startUp()
    }
    expect(await t.store.decision('clinic', wanted.decision.id)).not.toBeNull()
    expect(await t.apply()).toMatchObject({ seq: 3 })
    await site.remove()
  }, 120_000) // starting again flushes the whole file system, whoever else writes to it

  test('G14 a rollback under a running broker seals it at its next transaction', async () => {
    const site = new Site(await postgres.database())
    const t = await new Tenancy(await site.open(), 'clinic').begin()
    const { checkpoint } = await t.store.head('clinic')
    await t.apply()
    // a storage administrator puts the log back by one entry, with the genuine head of then
    await site.database.meddle(
      'delete from log_entries where seq = 2',
      `update log_heads set size = 2, checkpoint = '${checkpoint}', frontier = (select substr(nodes, 33, 32) from log_entries where seq = 1)`,
    )
    await expect(t.apply()).rejects.toEqual(refusal('ledger.regressed', 'an older state'))
    await expect(t.store.resource('clinic', 'data/key')).rejects.toEqual(refusal('ledger.regressed'))
    await site.remove()
  })

  test('A19 to have waited long for the log’s lock is no clock set back', async () => {
    const site = new Site(await postgres.database())
    const database = site.database.racerArguments[2] ?? ''
    let late = 0
    const clock = () => new Date(Date.now() + late)
    const store = await site.open({ clock })
    const t = await new Tenancy(store, 'clinic').begin()
    // another replica has the lock, and appends what is newer than our clock was when we began to wait
    const other = new pg.Client(postgres.server.connection(database))
    await other.connect()
    await other.query('begin')
    await other.query('select 1 from log_heads for update')
    const waiting = t.apply()
    await vi.waitUntil(async () => {
      const [row] = await postgres.server.sql(database, 'select 1 from pg_locks where not granted')
      return row !== undefined
    })
    await other.query(`update log_heads set time = ${Date.now() + 60_000}`)
    late = 60_000
    await other.query('commit')
    await other.end()
    expect(await waiting).toMatchObject({ seq: 2 })
    await site.remove()
  })

  test('I02 a log head that somebody holds locked is refused in time, not waited for', async () => {
    const site = new Site(await postgres.database())
    const database = site.database.racerArguments[2] ?? ''
    const connection = { ...postgres.server.connection(database), lock_timeout: 300 }
    const store = await openPostgresStore({ connection, guard: site.heads(), clock: () => new Date() })
    const t = await new Tenancy(store, 'clinic').begin()
    const other = new pg.Client(postgres.server.connection(database))
    await other.connect()
    await other.query('begin')
    await other.query('select 1 from log_heads for update')
    await expect(t.apply()).rejects.toEqual(refusal('store.unavailable', 'lock timeout'))
    await other.query('commit')
    await other.end()
    expect(await t.apply()).toMatchObject({ seq: 2 })
    await store.close()
    await site.remove()
  })
})
