import { afterAll, beforeAll, describe } from 'vitest'
import { describeLogs } from './log.contract.ts'
import { describeRegistry } from './registry.contract.ts'
import { describeReleases } from './release.contract.ts'
import type { Store } from './store.ts'
import { type Shared, Site, type StoreKind } from './testing/harness.ts'
import { Tenancy } from './testing/tenancy.ts'

/** What every store must do: run on SQLite and on PostgreSQL alike. */
export function describeStore(kind: StoreKind): void {
  describe(`the store on ${kind.name}`, () => {
    let site: Site
    let store: Store
    let tenants = 0
    beforeAll(async () => {
      site = new Site(await kind.database())
      store = await site.open()
    })
    afterAll(() => site.remove())

    const shared: Shared = {
      opened: () => store,
      tenancy: () => new Tenancy(store, `tenant-${++tenants}`).begin(),
    }
    describeLogs(shared)
    describeRegistry(shared)
    describeReleases(shared)
  })
}
