import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseEntry, utf8 } from '@vouchsafe/core'
import { SCHEMA_VERSION } from './schema.ts'
import type { Store } from './store.ts'
import { Site, type StoreKind } from './testing/harness.ts'
import { refusal } from './testing/refusal.ts'
import { Tenancy, digest } from './testing/tenancy.ts'

/** What a store does when it is closed, opened, rolled back, edited or run by another clock or version. */
export function describeRestarts(kind: StoreKind): void {
  describe(`a ${kind.name} store that is opened again`, () => {
    let site: Site
    beforeEach(async () => {
      site = new Site(await kind.database())
    })
    afterEach(() => site.remove())

    async function begun(): Promise<Tenancy> {
      return await new Tenancy(await site.open(), 'clinic').begin()
    }
    /** The same tenant after the store was closed and opened, with the same log key. */
    async function reopened(t: Tenancy, options: Parameters<Site['open']>[0] = {}): Promise<Tenancy> {
      await site.close()
      return new Tenancy(await site.open(options), t.tenant, t.signer)
    }
    /** Takes the store back to an earlier state, while the kept head stays where it was. */
    async function rolledBack(t: Tenancy, options: Parameters<Site['open']>[0] = {}): Promise<Tenancy> {
      await site.close()
      const snapshot = await site.database.copy()
      const later = new Tenancy(await site.open(), t.tenant, t.signer)
      for (let n = 0; n < 3; n++) await later.apply({ change: 'setting.put', name: 'n', value: utf8(`${n}`) })
      site.database = snapshot
      return await reopened(t, options)
    }

    test('has everything that was acknowledged, and goes on', async () => {
      const t = await begun()
      const wanted = await t.release()
      await t.store.decide(wanted)
      const lines = await t.export()
      const again = await reopened(t)
      expect(await again.export()).toEqual(lines)
      expect(await again.store.decision('clinic', wanted.decision.id)).toMatchObject({ record: wanted.decision.record })
      expect(await again.apply()).toMatchObject({ seq: lines.length })
      expect(await again.check()).toMatchObject({ ok: true, entries: lines.length + 1 })
    })

    test('J10 is refused when a newer version wrote it', async () => {
      await begun()
      await site.close()
      await site.database.meddle(`update schema_version set version = ${SCHEMA_VERSION + 1}`)
      await expect(site.open()).rejects.toEqual(refusal('store.newer', `${SCHEMA_VERSION + 1}`))
    })

    test('a store of the version before is brought to this one, and keeps what it has', async () => {
      const t = await begun()
      const lines = await t.export()
      await site.close()
      await site.database.meddle('drop table image_signatures', 'update schema_version set version = 1')
      const later = new Tenancy(await site.open(), t.tenant, t.signer)
      expect(await later.export()).toEqual(lines)
      const signature = { image: digest('image'), id: digest('signature'), record: utf8('record') }
      const { seq } = await later.apply({ change: 'signature.add', signature, atMost: 1 })
      expect(await later.store.signatures(t.tenant, digest('image'))).toEqual([{ ...signature, seq }])
    })

    describe('with another clock', () => {
      const HOUR = 3_600_000
      const at = (ms: number) => ({ clock: () => new Date(Date.now() + ms) })

      test('refuses to write while the clock is behind the newest entry', async () => {
        const t = await begun()
        const behind = await reopened(t, at(-HOUR))
        await expect(behind.apply()).rejects.toEqual(refusal('clock.backwards', 'newest ledger entry'))
        await expect(behind.store.decide(await behind.release())).rejects.toEqual(refusal('clock.backwards'))
        expect(await behind.check()).toMatchObject({ ok: true, entries: 2 })
        expect(await (await reopened(t)).apply()).toMatchObject({ seq: 2 })
      })

      test('takes the newest entry’s time where the clock is a moment behind it', async () => {
        const t = await begun()
        const { time } = await t.store.head('clinic')
        const behind = await reopened(t, { clock: () => new Date(time.getTime() - 500) })
        expect(await behind.apply()).toMatchObject({ time })
        const ahead = await reopened(t, { clock: () => new Date(time.getTime() + HOUR) })
        expect(await ahead.apply()).toMatchObject({ time: new Date(time.getTime() + HOUR) })
      })

      test('A02 an expired nonce is refused, also after its row was purged', async () => {
        const t = await begun()
        const consume = [{ id: new Uint8Array(32), expiresAt: new Date(Date.now() + HOUR) }]
        await t.store.decide(await t.release({ consume }))
        const later = await reopened(t, at(2 * HOUR))
        expect(await later.store.purgeNonces(new Date(Date.now() + 2 * HOUR))).toBe(1)
        await expect(later.store.decide(await later.release({ consume }))).rejects.toEqual(
          refusal('evidence.stale', 'expired'),
        )
      })

      test('an expired nonce stays expired when the clock is a moment behind', async () => {
        const t = await begun()
        const { time } = await t.store.head('clinic')
        const behind = await reopened(t, { clock: () => new Date(time.getTime() - 500) })
        const consume = [{ id: new Uint8Array(32), expiresAt: time }]
        await expect(behind.store.decide(await behind.release({ consume }))).rejects.toEqual(
          refusal('evidence.stale', 'expired'),
        )
      })
    })

    describe('after somebody edited it', () => {
      test.each([
        [
          'the root',
          `update log_heads set frontier = (select nodes from log_entries where seq = 0)`,
          'ledger.regressed',
        ],
        ['the size', 'update log_heads set size = size + 1', 'ledger.broken'],
      ])('I05 does not continue a log whose head was changed: %s', async (_what, sql, code) => {
        const t = await begun()
        await site.close()
        await site.database.meddle(sql)
        const opened = await site.open().catch((error: unknown) => error)
        if (opened instanceof Error) {
          expect(opened).toEqual(refusal(code))
          return
        }
        const edited = new Tenancy(opened as Store, 'clinic', t.signer)
        await expect(edited.apply()).rejects.toEqual(refusal(code))
      })

      test('I05 does not continue a forged log whose head this key never signed, on a new guard either', async () => {
        const t = await begun()
        await site.close()
        await site.database.meddle(`update log_heads set checkpoint = replace(checkpoint, 'clinic', 'cl1nic')`)
        site.guard += '-new'
        const edited = new Tenancy(await site.open({ adoptHeads: true }), 'clinic', t.signer)
        await expect(edited.apply()).rejects.toEqual(refusal('ledger.broken', 'not one that its key signed'))
      })

      test('I05 the export names an entry that was edited in place', async () => {
        const t = await begun()
        for (let n = 0; n < 5; n++) await t.apply()
        await site.close()
        const edit =
          kind.name === 'SQLite'
            ? `cast(replace(cast(entry as text), '"test"', '"tset"') as blob)`
            : `convert_to(replace(convert_from(entry, 'UTF8'), '"test"', '"tset"'), 'UTF8')`
        await site.database.meddle(`update log_entries set entry = ${edit} where seq = 4`)
        const edited = await reopened(t)
        expect(await edited.check()).toMatchObject({ ok: false, at: 4, problem: 'altered' })
      })
    })

    describe('from an older backup', () => {
      test('G14 is sealed: no read, no write, and it says why', async () => {
        const old = await rolledBack(await begun())
        expect(old.store.regressed).toEqual(refusal('ledger.regressed', 'older state'))
        await expect(old.apply()).rejects.toEqual(refusal('ledger.regressed'))
        await expect(old.store.resource('clinic', 'data/key')).rejects.toEqual(refusal('ledger.regressed'))
        await expect(old.store.head('clinic')).rejects.toEqual(refusal('ledger.regressed'))
        await expect(old.store.restoreEpoch()).rejects.toEqual(refusal('ledger.regressed'))
        expect(await old.store.identity()).not.toBeNull()
      })

      test('G14 a state of the same length with other entries is sealed as well', async () => {
        const t = await begun()
        await site.close()
        const snapshot = await site.database.copy()
        await new Tenancy(await site.open(), 'clinic', t.signer).apply()
        await site.close()
        // the same store without its guard grows another entry in that place, and one more
        const { guard } = site
        site.guard += '-other'
        site.database = snapshot
        const fork = new Tenancy(await site.open({ adoptHeads: true }), 'clinic', t.signer)
        await fork.apply({ change: 'setting.put', name: 'other', value: utf8('x') })
        await fork.store.append({
          tenant: 'clinic',
          signer: t.signer,
          changes: [],
          entry: { kind: 'record.read', subject: 'other', digest: digest('other'), facts: {} },
        })
        site.guard = guard
        const old = await reopened(t)
        expect(old.store.regressed).toEqual(refusal('ledger.regressed', 'not those that were seen before'))
      })

      test('G14 is sealed when no head of its log was kept, unless it is adopted by name', async () => {
        const t = await begun()
        await site.close()
        rmSync(site.guard, { recursive: true })
        expect((await reopened(t)).store.regressed).toEqual(refusal('ledger.regressed', 'no head'))
        const adopted = await reopened(t, { adoptHeads: true })
        expect(adopted.store.regressed).toBeNull()
        await adopted.apply()
        expect((await reopened(t)).store.regressed).toBeNull()
      })

      test('G14 serves again once an operator accepts the restore: nonces of before are void, and the log tells', async () => {
        const t = await begun()
        expect(await t.store.restoreEpoch()).toBe(1)
        const stale = await t.release()
        const old = await rolledBack(t)
        await old.store.acceptRestore(async () => t.signer)
        expect(old.store.regressed).toBeNull()
        expect(await old.store.restoreEpoch()).toBe(2)
        const [entry] = await old.store.entries('clinic', 2, 9)
        expect(parseEntry(entry!.entry)).toMatchObject({ kind: 'store.restored', facts: { epoch: '2', keptSize: '5' } })
        // what was evaluated before the restore is not recorded after it
        await expect(old.store.decide(stale)).rejects.toEqual(refusal('store.changed'))
        await old.apply()
        expect(await old.check()).toMatchObject({ ok: true, entries: 4 })
        expect((await reopened(t)).store.regressed).toBeNull()
      })
    })
  })
}
