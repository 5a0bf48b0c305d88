import { afterAll, beforeAll, describe } from 'vitest'
import { describeRaces } from './races.contract.ts'
import { PostgresDatabases } from './testing/postgres-kind.ts'
import { missingPostgres } from './testing/postgres-server.ts'
import { SqliteFiles } from './testing/sqlite-kind.ts'

const sqlite = new SqliteFiles()
afterAll(() => sqlite.remove())
describeRaces(sqlite, { races: 10_000, kills: 200, replicas: false })

describe.skipIf(missingPostgres())('PostgreSQL', () => {
  const postgres = new PostgresDatabases()
  beforeAll(() => postgres.start())
  afterAll(() => postgres.stop())
  describeRaces(postgres, { races: 10_000, kills: 200, replicas: true })
})
