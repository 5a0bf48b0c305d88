import { describe, expect, test } from 'vitest'
import { parseEntry, parseGenesis, utf8, verifyCheckpoint, verifyConsistency, verifyReceipt } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { IDENTITY, Tenancy, digest } from './testing/tenancy.ts'
import { refusal } from './testing/refusal.ts'
import type { Shared } from './testing/harness.ts'

/** Each tenant's log: genesis, growth, receipts, atomicity. */
export function describeLogs({ tenancy, opened }: Shared): void {
  describe('tenants and their logs', () => {
    test('a log begins with a genesis entry that names profile, broker and origin', async () => {
      const { tenant, signer } = await tenancy()
      const [first] = await opened().entries(tenant, 0, 1)
      const entry = parseEntry(first!.entry)
      expect(parseGenesis(entry)).toEqual({ profile: 'simulated', broker: IDENTITY.broker, origin: signer.name })
      expect(entry.tenant).toBe(tenant)
      expect(await verifyCheckpoint(first!.checkpoint, signer.key, nodeCrypto)).toMatchObject({ size: 1 })
      expect(await opened().tenant(tenant)).toMatchObject({ id: tenant, origin: signer.name })
    })

    test('a second tenant of the same id is a conflict, and the first one’s log is untouched', async () => {
      const t = await tenancy()
      const before = await opened().head(t.tenant)
      await expect(opened().createTenant({ id: t.tenant, name: 'again' }, t.signer)).rejects.toEqual(
        refusal('store.conflict', t.tenant),
      )
      expect(await opened().head(t.tenant)).toEqual(before)
    })

    test('an unknown tenant has no head, and nothing can be appended for it', async () => {
      await expect(opened().head('nobody')).rejects.toEqual(refusal('store.unknown', 'nobody'))
      await expect(new Tenancy(opened(), 'nobody').apply()).rejects.toEqual(refusal('store.unknown', 'nobody'))
      expect(await opened().tenant('nobody')).toBeNull()
    })

    test('an initialised store keeps its identity', async () => {
      await expect(opened().initialise({ ...IDENTITY, profile: 'production' })).rejects.toEqual(
        refusal('store.conflict'),
      )
      expect(await opened().identity()).toEqual(IDENTITY)
    })

    test('I05 every append gives the next number and a checkpoint that continues the one before', async () => {
      const t = await tenancy()
      const earlier = await verifyCheckpoint((await opened().head(t.tenant)).checkpoint, t.signer.key, nodeCrypto)
      for (let n = 0; n < 9; n++) await t.apply()
      const recorded = await t.apply()
      const later = await verifyCheckpoint(recorded.checkpoint, t.signer.key, nodeCrypto)
      expect(recorded.seq).toBe(later.size - 1)
      const proof = await opened().consistencyProof(t.tenant, earlier.size, later.size)
      verifyConsistency(earlier, later, proof, nodeCrypto)
      expect(await t.check(recorded.checkpoint)).toMatchObject({
        ok: true,
        entries: later.size,
        continues: later.size,
      })
    })

    test('I07 a receipt proves its own entry, for every entry and later state', async () => {
      const t = await tenancy()
      for (let n = 0; n < 8; n++) await t.apply()
      for (let seq = 0; seq < 10; seq++) {
        const receipt = await opened().receipt(t.tenant, seq)
        const { kind: entryKind, subject, digest: bound } = parseEntry(receipt.entry)
        const { entry } = await verifyReceipt(
          receipt,
          { kind: entryKind, subject, digest: bound },
          t.signer.key,
          nodeCrypto,
        )
        expect(entry.seq).toBe(seq)
      }
      await expect(opened().receipt(t.tenant, 10)).rejects.toEqual(refusal('ledger.range', '10'))
      await expect(opened().inclusionProof(t.tenant, 2, 11)).rejects.toEqual(refusal('ledger.range', '11'))
      await expect(opened().consistencyProof(t.tenant, 3, 99)).rejects.toEqual(refusal('ledger.range', '99'))
    })

    test('entries are found by what they are about, newest first', async () => {
      const t = await tenancy()
      const entry = {
        kind: 'record.read',
        subject: 'decision-7',
        digest: digest('x'),
        facts: { by: 'owner' },
      } as const
      await opened().append({ tenant: t.tenant, entry, changes: [], signer: t.signer })
      await opened().append({ tenant: t.tenant, entry, changes: [], signer: t.signer })
      const found = await opened().entriesAbout(t.tenant, 'decision-7')
      expect(found.map((e) => e.seq)).toEqual([3, 2])
      expect(parseEntry(found[0]!.entry)).toMatchObject(entry)
    })

    test('a change that fails takes the changes before it, and the entry, with it', async () => {
      const t = await tenancy()
      const before = await t.export()
      const twice = { change: 'setting.put', name: 'colour', value: utf8('red') } as const
      await expect(t.apply(twice, { change: 'principal.remove', key: 'nobody' })).rejects.toEqual(
        refusal('store.unknown', 'nobody'),
      )
      expect(await opened().setting(t.tenant, 'colour')).toBeNull()
      expect(await t.export()).toEqual(before)
    })
  })

  test('bytes come back exactly, and as copies of their own', async () => {
    const t = await tenancy()
    const value = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256)
    await t.apply({ change: 'setting.put', name: 'big', value: value.subarray(1) })
    const read = await opened().setting(t.tenant, 'big')
    expect(read).toEqual(value.subarray(1))
    expect(Object.getPrototypeOf(read)).toBe(Uint8Array.prototype)
    read!.fill(0)
    expect(await opened().setting(t.tenant, 'big')).toEqual(value.subarray(1))
  })
}
