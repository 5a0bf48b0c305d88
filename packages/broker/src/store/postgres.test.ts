import { afterAll, beforeAll, describe } from 'vitest'
import { openPostgresStore } from './postgres.ts'
import { describeStore } from './store.contract.ts'
import type { Database, StoreKind } from './testing/harness.ts'
import { PostgresServer, missingPostgres } from './testing/postgres-server.ts'

describe.skipIf(missingPostgres())('PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(() => {
    server = PostgresServer.start()
  })
  afterAll(() => server.stop())

  const database = (name: string): Database => ({
    open: (options) => openPostgresStore({ connection: server.connection(name), ...options }),
    async meddle(...statements) {
      await server.sql(name, ...statements)
    },
    copy: async () => database(await server.create(name)),
    racerArguments: ['postgres', server.directory, name],
  })
  const postgres: StoreKind = { name: 'PostgreSQL', database: async () => database(await server.create()) }

  describeStore(postgres)
})
