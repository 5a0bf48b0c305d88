import { openPostgresStore } from '../postgres.ts'
import type { Database, StoreKind } from './harness.ts'
import { PostgresServer } from './postgres-server.ts'

/** Databases on a PostgreSQL of this test's own. Call `start` before the first test. */
export class PostgresDatabases implements StoreKind {
  readonly name = 'PostgreSQL'
  #server: PostgresServer | undefined

  get server(): PostgresServer {
    if (this.#server === undefined) throw new Error('the test’s PostgreSQL was not started')
    return this.#server
  }

  start(): void {
    this.#server = PostgresServer.start()
  }

  stop(): void {
    this.#server?.stop()
  }

  async database(): Promise<Database> {
    return this.#on(await this.server.create())
  }

  #on(name: string): Database {
    const { server } = this
    return {
      open: (options) => openPostgresStore({ connection: server.connection(name), ...options }),
      async meddle(...statements) {
        await server.sql(name, ...statements)
      },
      copy: async () => this.#on(await server.create(name)),
      racerArguments: ['postgres', server.directory, name],
    }
  }
}
