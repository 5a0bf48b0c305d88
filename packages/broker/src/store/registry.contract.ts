import { describe, expect, test } from 'vitest'
import { utf8 } from '@vouchsafe/core'
import type { Change } from './changes.ts'
import { AGREEMENT, FAR_OFF, agreement, digest, resource } from './testing/tenancy.ts'
import { refusal } from './testing/refusal.ts'
import type { Shared } from './testing/harness.ts'

/** What owners and operators keep in a store. */
export function describeRegistry({ tenancy, opened }: Shared): void {
  describe('what owners and operators keep', () => {
    test('a principal acts until it is removed, and never again', async () => {
      const t = await tenancy()
      const principal = { key: 'ed25519:abc', party: 'clinic', role: 'owner' } as const
      await t.apply({ change: 'principal.add', principal })
      expect(await opened().principal(t.tenant, principal.key)).toMatchObject({ ...principal, removedAt: null })
      await t.apply({ change: 'principal.remove', key: principal.key })
      expect(await opened().principal(t.tenant, principal.key)).toBeNull()
      expect((await opened().principals(t.tenant))[0]!.removedAt).toBeInstanceOf(Date)
      await expect(t.apply({ change: 'principal.add', principal })).rejects.toEqual(refusal('store.conflict'))
      await expect(t.apply({ change: 'principal.remove', key: principal.key })).rejects.toEqual(
        refusal('store.unknown'),
      )
    })

    test('a ticket enrols one machine, in time, at its own tenant', async () => {
      const [a, b] = [await tenancy(), await tenancy()]
      const ticket = { id: digest('ticket'), madeBy: 'k', expiresAt: FAR_OFF, machine: null }
      const use = (id = ticket.id): Change => ({ change: 'ticket.use', id, enrolment: 'machine-1' })
      await a.apply({ change: 'ticket.add', ticket })
      const late = { ...ticket, id: digest('late'), expiresAt: new Date(0) }
      const others = { ...ticket, id: digest('others'), machine: 'machine-2' }
      await a.apply({ change: 'ticket.add', ticket: late })
      await a.apply({ change: 'ticket.add', ticket: others })
      await expect(a.apply(use(others.id))).rejects.toEqual(refusal('enrolment.ticket'))
      await expect(b.apply(use())).rejects.toEqual(refusal('enrolment.ticket'))
      await expect(a.apply(use(late.id))).rejects.toEqual(refusal('enrolment.ticket'))
      await a.apply(use())
      await expect(a.apply(use())).rejects.toEqual(refusal('enrolment.ticket'))
      expect(await opened().ticket(a.tenant, ticket.id)).toEqual({ ...ticket, usedBy: 'machine-1' })
    })

    test('B14 an enrolled id is not enrolled a second time', async () => {
      const t = await tenancy()
      const machine = {
        id: 'machine-9',
        class: 'tpm',
        ekCertificateDigest: digest('ek'),
        akName: Uint8Array.of(0, 11, 1),
        akPublic: Uint8Array.of(1, 2, 3),
        resetCount: 4,
        restartCount: 4_294_967_295,
        record: utf8('{}'),
      }
      await t.apply({ change: 'enrolment.add', enrolment: machine })
      const other = { ...machine, akPublic: Uint8Array.of(9) }
      await expect(t.apply({ change: 'enrolment.add', enrolment: other })).rejects.toEqual(
        refusal('store.conflict', 'machine-9'),
      )
      expect(await opened().enrolment(t.tenant, 'machine-9')).toMatchObject({ ...machine, endedAt: null })
      await t.apply({ change: 'enrolment.end', id: 'machine-9', why: 'evidence.revoked' })
      expect((await opened().enrolments(t.tenant))[0]!.endedAt).toBeInstanceOf(Date)
      await t.apply({ change: 'enrolment.add', enrolment: { ...machine, resetCount: 5 } })
      expect(await opened().enrolments(t.tenant)).toMatchObject([{ resetCount: 5, endedAt: null }])
    })

    test('KB-07 a resource’s versions follow without gaps, keep their owner, and are never overwritten', async () => {
      const t = await tenancy()
      const put = (version: number, owner = 'clinic', text = `v${version}`): Change => ({
        change: 'resource.put',
        resource: resource('data/key', version, owner, text),
      })
      await expect(t.apply(put(1))).rejects.toEqual(refusal('store.conflict', 'the next one is 2'))
      await expect(t.apply(put(3))).rejects.toEqual(refusal('store.conflict', 'the next one is 2'))
      await expect(t.apply(put(2, 'thief'))).rejects.toEqual(refusal('store.conflict', 'another owner'))
      await t.apply(put(2))
      expect(await opened().resource(t.tenant, 'data/key')).toMatchObject({ version: 2, ciphertext: utf8('v2') })
      expect(await opened().resource(t.tenant, 'data/key', 1)).toMatchObject({
        version: 1,
        ciphertext: utf8('ciphertext'),
      })
      expect(await opened().resource(t.tenant, 'data/key', 3)).toBeNull()
      await t.apply({ change: 'resource.remove', path: 'data/key' })
      expect(await opened().resource(t.tenant, 'data/key')).toBeNull()
      expect(await opened().resource(t.tenant, 'data/key', 1)).toBeNull()
      await expect(t.apply({ change: 'resource.remove', path: 'data/key' })).rejects.toEqual(refusal('store.unknown'))
      expect(await opened().resources(t.tenant, { limit: 9 })).toMatchObject([
        { path: 'data/key', version: 2, removed: true },
      ])
      await t.apply(put(3))
      expect((await opened().resourceHistory(t.tenant, 'data/key')).map((r) => r.version)).toEqual([3, 2, 1])
    })

    test('resources are listed by path in byte order, page by page', async () => {
      const t = await tenancy()
      for (const path of ['b/é', 'b/a', 'B', 'a_b', 'a-b'])
        await t.apply({ change: 'resource.put', resource: resource(path, 1, 'clinic') })
      const paths = async (after: string): Promise<readonly string[]> =>
        (await opened().resources(t.tenant, { after, limit: 4 })).map((r) => r.path)
      expect(await paths('')).toEqual(['B', 'a-b', 'a_b', 'b/a'])
      expect(await paths('b/a')).toEqual(['b/é', 'data/key'])
    })

    test('an agreement comes into force only after its own predecessor', async () => {
      const t = await tenancy()
      const [second, third, fork] = [
        agreement('study', '2', AGREEMENT),
        agreement('study', '3', digest('2')),
        agreement('study', '2b', AGREEMENT),
      ]
      await expect(t.apply({ change: 'agreement.file', agreement: third })).rejects.toEqual(
        refusal('store.unknown', 'predecessor'),
      )
      await expect(t.apply({ change: 'agreement.file', agreement: { ...second, name: 'other' } })).rejects.toEqual(
        refusal('store.unknown', 'predecessor'),
      )
      for (const filed of [second, third, fork]) await t.apply({ change: 'agreement.file', agreement: filed })
      const adopt = (wanted: typeof second): Change => ({
        change: 'agreement.adopt',
        name: 'study',
        digest: wanted.digest,
      })
      await expect(t.apply(adopt(third))).rejects.toEqual(refusal('store.conflict', 'does not follow'))
      await t.apply(adopt(second))
      await expect(t.apply(adopt(fork))).rejects.toEqual(refusal('store.conflict', 'does not follow'))
      await expect(t.apply(adopt(second))).rejects.toEqual(refusal('store.conflict', 'does not follow'))
      await expect(t.apply({ ...adopt(third), name: 'other' } as Change)).rejects.toEqual(refusal('store.unknown'))
      expect(await opened().currentAgreement(t.tenant, 'study')).toMatchObject({ ...second, version: 2 })
      expect(await opened().agreement(t.tenant, fork.digest)).toMatchObject({ version: 2, bytes: utf8('2b') })
      const listed = await opened().agreements(t.tenant)
      expect(listed.filter((a) => a.current).map((a) => a.digest)).toEqual([second.digest])
      expect(listed.map((a) => a.version)).toEqual([3, 2, 2, 1])
    })

    test('statements keep their exact bytes and order, and count once', async () => {
      const t = await tenancy()
      const statement = (says: 'approve' | 'withdraw', text: string): Change => ({
        change: 'statement.add',
        statement: {
          id: digest(text),
          says,
          agreement: AGREEMENT,
          owner: 'clinic',
          key: 'k',
          envelope: utf8(text),
          issuedAt: new Date(1000),
          expiresAt: says === 'approve' ? FAR_OFF : null,
        },
      })
      await t.apply(statement('approve', '{"a": 1}'))
      await t.apply(statement('withdraw', '{"w": 1}'))
      await t.apply(statement('approve', '{"a": 1}'))
      const kept = await opened().statements(t.tenant, AGREEMENT)
      expect(kept.map((s) => [s.says, s.envelope, s.expiresAt])).toEqual([
        ['approve', utf8('{"a": 1}'), FAR_OFF],
        ['withdraw', utf8('{"w": 1}'), null],
      ])
    })

    test('CS-85 signatures of an image keep their exact bytes, order and entry; each is there once, and so many at most', async () => {
      const [t, elsewhere] = [await tenancy(), await tenancy()]
      const image = digest('image')
      const add = (text: string, of = image): Change => ({
        change: 'signature.add',
        signature: { image: of, id: digest(text), record: utf8(text) },
        atMost: 2,
      })
      const { epochs } = await opened().head(t.tenant)
      const first = await t.apply(add('b'))
      const second = await t.apply(add('a'))
      const kept = [
        { image, id: digest('b'), record: utf8('b'), seq: first.seq },
        { image, id: digest('a'), record: utf8('a'), seq: second.seq },
      ]
      await expect(t.apply(add('a'))).rejects.toEqual(refusal('store.conflict', digest('a')))
      await expect(t.apply(add('c'))).rejects.toEqual(refusal('input.too-large', '2 signatures'))
      await t.apply(add('c', digest('another image')))
      expect(await opened().signatures(t.tenant, image)).toEqual(kept)
      expect(await opened().signatures(elsewhere.tenant, image)).toEqual([])
      // whoever decides meanwhile relied on none of it
      expect((await opened().head(t.tenant)).epochs).toEqual(epochs)
    })

    test('reference sets only grow newer', async () => {
      const t = await tenancy()
      const set = (version: number): Change => ({
        change: 'reference.add',
        set: { name: 'boot', version, digest: digest(`r${version}`), bytes: utf8(`r${version}`), expiresAt: FAR_OFF },
      })
      await expect(t.apply(set(2))).rejects.toEqual(refusal('store.conflict', 'the next one is 1'))
      await t.apply(set(1))
      await t.apply(set(2))
      await expect(t.apply(set(1))).rejects.toEqual(refusal('store.conflict', 'the next one is 3'))
      expect(await opened().referenceSet(t.tenant, 'boot')).toMatchObject({ version: 2, bytes: utf8('r2') })
      expect(await opened().referenceSets(t.tenant)).toHaveLength(2)
    })

    test('of two keys of one kind and generation the first stays', async () => {
      const { tenant } = await tenancy()
      const key = (id: string) =>
        ({
          id,
          kind: 'token',
          generation: 1,
          wrapped: utf8(id),
          publicKey: null,
          notBefore: new Date(5),
          notAfter: null,
        }) as const
      const [one, two] = await Promise.all([
        opened().addKeyOnce(tenant, key('one')),
        opened().addKeyOnce(tenant, key('two')),
      ])
      expect(one).toEqual(two)
      expect(await opened().key(tenant, 'token')).toEqual(one)
      await opened().addKeyOnce(tenant, { ...key('three'), generation: 2, publicKey: Uint8Array.of(1) })
      expect(await opened().key(tenant, 'token')).toMatchObject({ id: 'three', publicKey: Uint8Array.of(1) })
      expect((await opened().keys(tenant)).map((k) => k.generation)).toEqual([1, 2])
    })

    test('I06 another broker’s checkpoint is replaced by a larger one only', async () => {
      const t = await tenancy()
      const keep = (size: number): Change => ({
        change: 'checkpoint.keep',
        checkpoint: { origin: 'log/b', size, checkpoint: `c${size}` },
      })
      await t.apply(keep(5))
      await t.apply(keep(4))
      expect(await opened().foreignCheckpoint(t.tenant, 'log/b')).toMatchObject({ size: 5, checkpoint: 'c5' })
      await t.apply(keep(6))
      expect(await opened().foreignCheckpoint(t.tenant, 'log/b')).toMatchObject({ size: 6 })
    })

    test('settings are replaced', async () => {
      const t = await tenancy()
      for (const value of ['a', 'b']) await t.apply({ change: 'setting.put', name: 'n', value: utf8(value) })
      expect(await opened().setting(t.tenant, 'n')).toEqual(utf8('b'))
    })
  })
}
