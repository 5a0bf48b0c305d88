import { afterAll, beforeAll, describe } from 'vitest'
import { PostgresServer, missingPostgres } from '../store/testing/postgres-server.ts'
import { postgresUrls } from '../testing/two-clinics.ts'
import { describeKills } from './kill.contract.ts'

const OFTEN = { releases: 200, kills: 40 }

describeKills('on SQLite', OFTEN, async () => ({}))

describe.skipIf(missingPostgres())('PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(() => {
    server = PostgresServer.start()
  })
  afterAll(() => server?.stop())
  describeKills('on PostgreSQL', OFTEN, async () => ({ postgresUrl: await postgresUrls(server) }))
})
