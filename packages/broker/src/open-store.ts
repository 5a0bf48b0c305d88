import type { BrokerConfig } from './config.ts'
import { fileHeadGuard } from './store/head-guard.ts'
import { openPostgresStore } from './store/postgres.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { StoreOptions } from './store/sql-store.ts'
import type { Store } from './store/store.ts'

/** Opens the store that the configuration names, with the heads kept beside it. */
export function openStoreOf(
  config: BrokerConfig,
  clock: () => Date,
  options: Pick<StoreOptions, 'adoptHeads' | 'onStatement'> = {},
): Promise<Store> {
  const shared = { guard: fileHeadGuard(config.headGuard), clock, ...options }
  return config.store.kind === 'sqlite'
    ? openSqliteStore({ ...shared, file: config.store.file })
    : openPostgresStore({ ...shared, connection: config.store.url })
}
