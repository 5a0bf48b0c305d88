import { afterAll, beforeAll, describe } from 'vitest'
import { PostgresServer, missingPostgres } from '../store/testing/postgres-server.ts'
import { describeNonceRaces } from './nonce-races.contract.ts'

describeNonceRaces('at one broker', 40, async () => ({ replicas: 1 }))

describe.skipIf(missingPostgres())('PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(() => {
    server = PostgresServer.start()
  })
  afterAll(() => server?.stop())
  describeNonceRaces('at two brokers on one PostgreSQL', 40, async () => {
    const databases = { 'clinic-a': await server.create(), 'clinic-b': await server.create() }
    return { postgresUrl: (clinic) => server.url(databases[clinic as keyof typeof databases]), replicas: 2 }
  })
})
