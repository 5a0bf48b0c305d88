import { afterAll, beforeAll, describe } from 'vitest'
import { PostgresServer, missingPostgres } from '../store/testing/postgres-server.ts'
import { describeKills } from './kill.contract.ts'
import { describeNonceRaces } from './nonce-races.contract.ts'

const KILLS = { releases: 200, kills: 40 }
const RACES = 10_000

describeKills('on SQLite', KILLS, async () => ({}))
describeNonceRaces('at one broker', RACES, async () => ({ replicas: 1 }))

describe.skipIf(missingPostgres())('PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(() => {
    server = PostgresServer.start()
  })
  afterAll(() => server?.stop())
  const postgres = async () => {
    const databases = { 'clinic-a': await server.create(), 'clinic-b': await server.create() }
    return { postgresUrl: (clinic: string) => server.url(databases[clinic as keyof typeof databases]) }
  }
  describeKills('on PostgreSQL', KILLS, postgres)
  describeNonceRaces('at two brokers on one PostgreSQL', RACES, async () => ({ ...(await postgres()), replicas: 2 }))
})
