import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type HeadGuard, fileHeadGuard } from '../head-guard.ts'
import type { StoreOptions } from '../sql-store.ts'
import type { Store } from '../store.ts'
import type { Tenancy } from './tenancy.ts'

/** What a kind of store gives to the contract: databases that can be reopened, copied and meddled with. */
export interface StoreKind {
  readonly name: string
  database(): Promise<Database>
}

export interface Database {
  open(options: StoreOptions): Promise<Store>
  /** Statements past the store. It is closed meanwhile. */
  meddle(...sql: readonly string[]): Promise<void>
  /** Another database with the same content: a snapshot. The store is closed meanwhile. */
  copy(): Promise<Database>
  /** Arguments by which `racer.ts` opens this database. */
  readonly racerArguments: readonly string[]
}

/** One open store for many tests, each with a tenant of its own: the others see nothing of it. */
export interface Shared {
  opened(): Store
  tenancy(): Promise<Tenancy>
}

/** A database with its own place for kept heads; everything is gone after the test. */
export class Site {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-store-'))
  readonly #open = new Set<Store>()
  database: Database
  guard = path.join(this.directory, 'heads')

  constructor(database: Database) {
    this.database = database
  }

  heads(): HeadGuard {
    return fileHeadGuard(this.guard)
  }

  async open(options: Partial<StoreOptions> = {}): Promise<Store> {
    const store = await this.database.open({
      guard: this.heads(),
      clock: () => new Date(),
      ...options,
    })
    this.#open.add(store)
    return store
  }

  async close(): Promise<void> {
    for (const store of this.#open) await store.close()
    this.#open.clear()
  }

  async remove(): Promise<void> {
    await this.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
