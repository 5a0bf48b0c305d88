import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseEntry, parseGenesis, utf8, verifyCheckpoint, verifyConsistency, verifyReceipt } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Change } from './changes.ts'
import type { Store } from './store.ts'
import { Site, type StoreKind } from './testing/harness.ts'
import { AGREEMENT, IDENTITY, Tenancy, agreement, digest, resource } from './testing/tenancy.ts'

/** Refused with this code, and with this in the message. */
export function refusal(code: string, message = ''): unknown {
  return expect.objectContaining({ code, message: expect.stringContaining(message) })
}

const SOON = new Date('2100-01-01T00:00:00Z')

/** What both stores must do, one statement at a time and across restarts; `races.contract.ts` has the rest. */
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
    /** A tenant of this test's own: the others see nothing of it. */
    const tenancy = (): Promise<Tenancy> => new Tenancy(store, `tenant-${++tenants}`).begin()

    describe('tenants and their logs', () => {
      test('a log begins with a genesis entry that names profile, broker and origin', async () => {
        const { tenant, signer } = await tenancy()
        const [first] = await store.entries(tenant, 0, 1)
        const entry = parseEntry(first!.entry)
        expect(parseGenesis(entry)).toEqual({ profile: 'simulated', broker: IDENTITY.broker, origin: signer.name })
        expect(entry.tenant).toBe(tenant)
        expect(await verifyCheckpoint(first!.checkpoint, signer.key, nodeCrypto)).toMatchObject({ size: 1 })
        expect(await store.tenant(tenant)).toMatchObject({ id: tenant, origin: signer.name })
      })

      test('a second tenant of the same id is a conflict, and the first one’s log is untouched', async () => {
        const t = await tenancy()
        const before = await store.head(t.tenant)
        await expect(store.createTenant({ id: t.tenant, name: 'again' }, t.signer)).rejects.toEqual(
          refusal('store.conflict', t.tenant),
        )
        expect(await store.head(t.tenant)).toEqual(before)
      })

      test('an unknown tenant has no head, and nothing can be appended for it', async () => {
        await expect(store.head('nobody')).rejects.toEqual(refusal('store.unknown', 'nobody'))
        await expect(new Tenancy(store, 'nobody').apply()).rejects.toEqual(refusal('store.unknown', 'nobody'))
        expect(await store.tenant('nobody')).toBeNull()
      })

      test('an initialised store keeps its identity', async () => {
        await expect(store.initialise({ ...IDENTITY, profile: 'production' })).rejects.toEqual(
          refusal('store.conflict'),
        )
        expect(await store.identity()).toEqual(IDENTITY)
      })

      test('I05 every append gives the next number and a checkpoint that continues the one before', async () => {
        const t = await tenancy()
        const earlier = await verifyCheckpoint((await store.head(t.tenant)).checkpoint, t.signer.key, nodeCrypto)
        for (let n = 0; n < 9; n++) await t.apply()
        const recorded = await t.apply()
        const later = await verifyCheckpoint(recorded.checkpoint, t.signer.key, nodeCrypto)
        expect(recorded.seq).toBe(later.size - 1)
        const proof = await store.consistencyProof(t.tenant, earlier.size, later.size)
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
          const receipt = await store.receipt(t.tenant, seq)
          const { kind: entryKind, subject, digest: bound } = parseEntry(receipt.entry)
          const { entry } = await verifyReceipt(
            receipt,
            { kind: entryKind, subject, digest: bound },
            t.signer.key,
            nodeCrypto,
          )
          expect(entry.seq).toBe(seq)
        }
        await expect(store.receipt(t.tenant, 10)).rejects.toEqual(refusal('ledger.range', '10'))
        await expect(store.inclusionProof(t.tenant, 2, 11)).rejects.toEqual(refusal('ledger.range', '11'))
        await expect(store.consistencyProof(t.tenant, 3, 99)).rejects.toEqual(refusal('ledger.range', '99'))
      })

      test('entries are found by what they are about, newest first', async () => {
        const t = await tenancy()
        const entry = {
          kind: 'record.read',
          subject: 'decision-7',
          digest: digest('x'),
          facts: { by: 'owner' },
        } as const
        await store.append({ tenant: t.tenant, entry, changes: [], signer: t.signer })
        await store.append({ tenant: t.tenant, entry, changes: [], signer: t.signer })
        const found = await store.entriesAbout(t.tenant, 'decision-7')
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
        expect(await store.setting(t.tenant, 'colour')).toBeNull()
        expect(await t.export()).toEqual(before)
      })
    })

    describe('what owners and operators keep', () => {
      test('a principal acts until it is removed, and never again', async () => {
        const t = await tenancy()
        const principal = { key: 'ed25519:abc', party: 'clinic', role: 'owner' } as const
        await t.apply({ change: 'principal.add', principal })
        expect(await store.principal(t.tenant, principal.key)).toMatchObject({ ...principal, removedAt: null })
        await t.apply({ change: 'principal.remove', key: principal.key })
        expect(await store.principal(t.tenant, principal.key)).toBeNull()
        expect((await store.principals(t.tenant))[0]!.removedAt).toBeInstanceOf(Date)
        await expect(t.apply({ change: 'principal.add', principal })).rejects.toEqual(refusal('store.conflict'))
        await expect(t.apply({ change: 'principal.remove', key: principal.key })).rejects.toEqual(
          refusal('store.unknown'),
        )
      })

      test('a ticket enrols one machine, in time, at its own tenant', async () => {
        const [a, b] = [await tenancy(), await tenancy()]
        const ticket = { id: digest('ticket'), madeBy: 'k', expiresAt: SOON }
        const use = (id = ticket.id): Change => ({ change: 'ticket.use', id, enrolment: 'machine-1' })
        await a.apply({ change: 'ticket.add', ticket })
        const late = { id: digest('late'), madeBy: 'k', expiresAt: new Date(0) }
        await a.apply({ change: 'ticket.add', ticket: late })
        await expect(b.apply(use())).rejects.toEqual(refusal('enrolment.ticket'))
        await expect(a.apply(use(late.id))).rejects.toEqual(refusal('enrolment.ticket'))
        await a.apply(use())
        await expect(a.apply(use())).rejects.toEqual(refusal('enrolment.ticket'))
        expect(await store.ticket(a.tenant, ticket.id)).toEqual({ ...ticket, usedBy: 'machine-1' })
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
        expect(await store.enrolment(t.tenant, 'machine-9')).toMatchObject({ ...machine, endedAt: null })
        await t.apply({ change: 'enrolment.end', id: 'machine-9', why: 'evidence.revoked' })
        expect((await store.enrolments(t.tenant))[0]!.endedAt).toBeInstanceOf(Date)
      })

      test('a resource’s versions follow without gaps, keep their owner, and are never overwritten', async () => {
        const t = await tenancy()
        const put = (version: number, owner = 'clinic', text = `v${version}`): Change => ({
          change: 'resource.put',
          resource: resource('data/key', version, owner, text),
        })
        await expect(t.apply(put(1))).rejects.toEqual(refusal('store.conflict', 'the next one is 2'))
        await expect(t.apply(put(3))).rejects.toEqual(refusal('store.conflict', 'the next one is 2'))
        await expect(t.apply(put(2, 'thief'))).rejects.toEqual(refusal('store.conflict', 'another owner'))
        await t.apply(put(2))
        expect(await store.resource(t.tenant, 'data/key')).toMatchObject({ version: 2, ciphertext: utf8('v2') })
        expect(await store.resource(t.tenant, 'data/key', 1)).toMatchObject({
          version: 1,
          ciphertext: utf8('ciphertext'),
        })
        expect(await store.resource(t.tenant, 'data/key', 3)).toBeNull()
        await t.apply({ change: 'resource.remove', path: 'data/key' })
        expect(await store.resource(t.tenant, 'data/key')).toBeNull()
        expect(await store.resource(t.tenant, 'data/key', 1)).toBeNull()
        await expect(t.apply({ change: 'resource.remove', path: 'data/key' })).rejects.toEqual(refusal('store.unknown'))
        expect(await store.resources(t.tenant, { limit: 9 })).toMatchObject([
          { path: 'data/key', version: 2, removed: true },
        ])
        await t.apply(put(3))
        expect((await store.resourceHistory(t.tenant, 'data/key')).map((r) => r.version)).toEqual([3, 2, 1])
      })

      test('resources are listed by path in byte order, page by page', async () => {
        const t = await tenancy()
        for (const path of ['b/é', 'b/a', 'B', 'a_b', 'a-b'])
          await t.apply({ change: 'resource.put', resource: resource(path, 1, 'clinic') })
        const paths = async (after: string): Promise<readonly string[]> =>
          (await store.resources(t.tenant, { after, limit: 4 })).map((r) => r.path)
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
        expect(await store.currentAgreement(t.tenant, 'study')).toMatchObject({ ...second, version: 2 })
        expect(await store.agreement(t.tenant, fork.digest)).toMatchObject({ version: 2, bytes: utf8('2b') })
        const listed = await store.agreements(t.tenant)
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
            expiresAt: says === 'approve' ? SOON : null,
          },
        })
        await t.apply(statement('approve', '{"a": 1}'))
        await t.apply(statement('withdraw', '{"w": 1}'))
        await t.apply(statement('approve', '{"a": 1}'))
        const kept = await store.statements(t.tenant, AGREEMENT)
        expect(kept.map((s) => [s.says, s.envelope, s.expiresAt])).toEqual([
          ['approve', utf8('{"a": 1}'), SOON],
          ['withdraw', utf8('{"w": 1}'), null],
        ])
      })

      test('reference sets only grow newer', async () => {
        const t = await tenancy()
        const set = (version: number): Change => ({
          change: 'reference.add',
          set: { name: 'boot', version, digest: digest(`r${version}`), bytes: utf8(`r${version}`), expiresAt: SOON },
        })
        await expect(t.apply(set(2))).rejects.toEqual(refusal('store.conflict', 'the next one is 1'))
        await t.apply(set(1))
        await t.apply(set(2))
        await expect(t.apply(set(1))).rejects.toEqual(refusal('store.conflict', 'the next one is 3'))
        expect(await store.referenceSet(t.tenant, 'boot')).toMatchObject({ version: 2, bytes: utf8('r2') })
        expect(await store.referenceSets(t.tenant)).toHaveLength(2)
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
          store.addKeyOnce(tenant, key('one')),
          store.addKeyOnce(tenant, key('two')),
        ])
        expect(one).toEqual(two)
        expect(await store.key(tenant, 'token')).toEqual(one)
        await store.addKeyOnce(tenant, { ...key('three'), generation: 2, publicKey: Uint8Array.of(1) })
        expect(await store.key(tenant, 'token')).toMatchObject({ id: 'three', publicKey: Uint8Array.of(1) })
        expect((await store.keys(tenant)).map((k) => k.generation)).toEqual([1, 2])
      })

      test('I06 another broker’s checkpoint is replaced by a larger one only', async () => {
        const t = await tenancy()
        const keep = (size: number): Change => ({
          change: 'checkpoint.keep',
          checkpoint: { origin: 'log/b', size, checkpoint: `c${size}` },
        })
        await t.apply(keep(5))
        await t.apply(keep(4))
        expect(await store.foreignCheckpoint(t.tenant, 'log/b')).toMatchObject({ size: 5, checkpoint: 'c5' })
        await t.apply(keep(6))
        expect(await store.foreignCheckpoint(t.tenant, 'log/b')).toMatchObject({ size: 6 })
      })

      test('settings are replaced', async () => {
        const t = await tenancy()
        for (const value of ['a', 'b']) await t.apply({ change: 'setting.put', name: 'n', value: utf8(value) })
        expect(await store.setting(t.tenant, 'n')).toEqual(utf8('b'))
      })

      test('G09 what one tenant has, another does not find under the same ids', async () => {
        const a = await tenancy()
        const b = await new Tenancy(store, `tenant-${++tenants}`).begin()
        const decide = await a.release({ id: 'shared-id' })
        await store.decide(decide)
        await a.apply(
          { change: 'setting.put', name: 'n', value: utf8('a') },
          { change: 'principal.add', principal: { key: 'k', party: 'p', role: 'owner' } },
          { change: 'resource.put', resource: resource('private', 1, 'clinic') },
          { change: 'distrust.add', rule: { id: 'd', mark: 'm', request: utf8('{}') } },
          { change: 'checkpoint.keep', checkpoint: { origin: 'o', size: 1, checkpoint: 'c' } },
        )
        expect(await store.decision(b.tenant, 'shared-id')).toBeNull()
        expect(await store.decisionOf(b.tenant, decide.decision.request!)).toBeNull()
        expect(await store.decisions(b.tenant, { limit: 9 })).toEqual([])
        expect(await store.decisions(b.tenant, { mark: 'enrolment:machine-1', limit: 9 })).toEqual([])
        expect(await store.lease(b.tenant, 'lease-shared-id')).toBeNull()
        expect(await store.liveLeases(b.tenant, new Date())).toEqual([])
        expect(await store.setting(b.tenant, 'n')).toBeNull()
        expect(await store.principal(b.tenant, 'k')).toBeNull()
        expect(await store.resource(b.tenant, 'private')).toBeNull()
        expect(await store.distrustRules(b.tenant)).toEqual([])
        expect(await store.foreignCheckpoint(b.tenant, 'o')).toBeNull()
        expect(await store.entriesAbout(b.tenant, 'shared-id')).toEqual([])
        // and the same nonce, request and decision id are b's to use
        const [nonce] = decide.consume
        expect(await store.decide(await b.release({ id: 'shared-id', nonce: nonce!.id }))).toMatchObject({
          kind: 'recorded',
        })
      })
    })

    describe('the release transaction', () => {
      test('records decision, lease and leaf, and the leaf binds the exact record', async () => {
        const t = await tenancy()
        const wanted = await t.release()
        const decided = await store.decide(wanted)
        if (decided.kind !== 'recorded') throw new Error(decided.kind)
        const { id } = wanted.decision
        const stored = await store.decision(t.tenant, id)
        expect(stored).toMatchObject({
          id,
          seq: decided.seq,
          outcome: 'release',
          code: 'ok',
          record: wanted.decision.record,
        })
        expect(parseEntry(decided.entry)).toMatchObject({
          kind: 'decision',
          subject: id,
          digest: wanted.decision.digest,
          facts: { outcome: 'release', code: 'ok' },
        })
        expect(await store.lease(t.tenant, `lease-${id}`)).toMatchObject({
          decision: id,
          enrolment: 'machine-1',
          agreement: AGREEMENT,
          renewals: 0,
          endedAt: null,
        })
        expect(await store.decisions(t.tenant, { mark: 'image:sha256:aa', limit: 5 })).toMatchObject([{ id }])
        expect(await t.check(decided.checkpoint)).toMatchObject({ ok: true })
      })

      test('A01 a nonce that was used is refused, and the refusal leaves nothing behind', async () => {
        const t = await tenancy()
        const nonce = randomBytes(32)
        await store.decide(await t.release({ nonce }))
        const before = await t.export()
        const again = await t.release({ nonce, id: 'again' })
        await expect(store.decide(again)).rejects.toEqual(refusal('evidence.stale', 'used before'))
        expect(await t.export()).toEqual(before)
        expect(await store.decision(t.tenant, 'again')).toBeNull()
        expect(await store.lease(t.tenant, 'lease-again')).toBeNull()
      })

      test('A01 a nonce used up by an owner’s call is used up for releases, too', async () => {
        const t = await tenancy()
        const nonce = { id: randomBytes(32), expiresAt: SOON }
        await t.apply({ change: 'nonce.consume', nonce })
        await expect(t.apply({ change: 'nonce.consume', nonce })).rejects.toEqual(refusal('evidence.stale'))
        await expect(store.decide(await t.release({ nonce: nonce.id }))).rejects.toEqual(
          refusal('evidence.stale', 'used before'),
        )
      })

      test('A02 an expired nonce is refused, also after its row was purged', async () => {
        const t = await tenancy()
        const id = randomBytes(32)
        const consume = [{ id, expiresAt: new Date(Date.now() + 150) }]
        await store.decide(await t.release({ consume }))
        await new Promise((done) => setTimeout(done, 200))
        expect(await store.purgeNonces(new Date())).toBeGreaterThanOrEqual(1)
        await expect(store.decide(await t.release({ consume }))).rejects.toEqual(refusal('evidence.stale', 'expired'))
      })

      test.each<[string, Change]>([
        [
          'G06 an owner withdrew',
          {
            change: 'statement.add',
            statement: {
              id: digest('w'),
              says: 'withdraw',
              agreement: AGREEMENT,
              owner: 'clinic',
              key: 'k',
              envelope: utf8('{}'),
              issuedAt: new Date(0),
              expiresAt: null,
            },
          },
        ],
        [
          'an approval arrived',
          {
            change: 'statement.add',
            statement: {
              id: digest('a'),
              says: 'approve',
              agreement: AGREEMENT,
              owner: 'clinic',
              key: 'k',
              envelope: utf8('{}'),
              issuedAt: new Date(0),
              expiresAt: SOON,
            },
          },
        ],
        [
          'a platform was distrusted',
          { change: 'distrust.add', rule: { id: 'd', mark: 'enrolment:machine-1', request: utf8('{}') } },
        ],
        [
          'reference values were added',
          {
            change: 'reference.add',
            set: { name: 'r', version: 1, digest: digest('r'), bytes: utf8('r'), expiresAt: SOON },
          },
        ],
        ['a key was added', { change: 'principal.add', principal: { key: 'x', party: 'p', role: 'owner' } }],
        ['a setting was changed', { change: 'setting.put', name: 'anchors', value: utf8('[]') }],
        ['the resource was replaced', { change: 'resource.put', resource: resource('data/key', 2, 'clinic') }],
        ['the resource was removed', { change: 'resource.remove', path: 'data/key' }],
      ])('J08 %s between check and commit: nothing is released', async (_what, change) => {
        const t = await tenancy()
        const wanted = await t.release()
        await t.apply(change)
        const before = await t.export()
        await expect(store.decide(wanted)).rejects.toEqual(refusal('store.changed'))
        expect(await t.export()).toEqual(before)
        expect(await store.decision(t.tenant, wanted.decision.id)).toBeNull()
        // the nonce was not lost with it
        if (change.change.startsWith('resource')) return
        expect(await store.decide(await t.release({ nonce: wanted.consume[0]!.id }))).toMatchObject({
          kind: 'recorded',
        })
      })

      test('a newer agreement, or the end of what was relied on, refuses too', async () => {
        const t = await tenancy()
        const wanted = await t.release()
        const ended = { ...wanted, expect: { ...wanted.expect!, validUntil: new Date() } }
        await expect(store.decide(ended)).rejects.toEqual(refusal('store.changed', 'held until'))
        const second = agreement('study', '2', AGREEMENT)
        await t.apply(
          { change: 'agreement.file', agreement: second },
          { change: 'agreement.adopt', name: 'study', digest: second.digest },
        )
        const { epochs } = await store.head(t.tenant)
        await expect(store.decide(await t.release({ epochs }))).rejects.toEqual(
          refusal('store.changed', 'another version'),
        )
        const other = await t.release()
        const unheard = { ...other, expect: { ...other.expect!, agreement: { name: 'unheard', digest: AGREEMENT } } }
        await expect(store.decide(unheard)).rejects.toEqual(refusal('store.changed', 'unheard'))
      })

      test('a release that relies on nothing, or uses up no nonce, is refused as a bug', async () => {
        const t = await tenancy()
        await expect(store.decide(await t.release({ expect: null }))).rejects.toEqual(
          refusal('internal', 'expectations'),
        )
        await expect(store.decide(await t.release({ consume: [] }))).rejects.toEqual(refusal('internal', 'nonce'))
        const denied = await t.release({ decision: { outcome: 'deny' } })
        await expect(store.decide(denied)).rejects.toEqual(refusal('internal', 'lease without a release'))
      })

      test('I10 a denial needs neither expectations nor nonce, and is recorded', async () => {
        const t = await tenancy()
        const wanted = await t.release({
          expect: null,
          consume: [],
          lease: { kind: 'none' },
          decision: { outcome: 'deny', code: 'appraisal.image', request: null },
        })
        const decided = await store.decide(wanted)
        if (decided.kind !== 'recorded') throw new Error(decided.kind)
        expect(parseEntry(decided.entry).facts).toEqual({ outcome: 'deny', code: 'appraisal.image' })
      })

      test('J09 the same request of the same key gets its first decision, with no second entry and no nonce lost', async () => {
        const t = await tenancy()
        const request = { id: 'request-1', proofKey: 'key-1' }
        const first = await t.release({ id: 'first', decision: { request } })
        await store.decide(first)
        const before = await t.export()
        const nonce = randomBytes(32)
        const repeated = await store.decide(await t.release({ id: 'second', nonce, decision: { request } }))
        expect(repeated).toMatchObject({ kind: 'repeated', decision: { id: 'first', record: first.decision.record } })
        expect(await t.export()).toEqual(before)
        const other = await store.decide(
          await t.release({ id: 'third', nonce, decision: { request: { id: 'request-1', proofKey: 'key-2' } } }),
        )
        expect(other).toMatchObject({ kind: 'recorded' })
        expect(await store.decisionOf(t.tenant, request)).toMatchObject({ id: 'first' })
      })

      test('a decision or lease id that is taken is a conflict', async () => {
        const t = await tenancy()
        await store.decide(await t.release({ id: 'one' }))
        const again = await t.release({ id: 'one', decision: { request: null } })
        await expect(store.decide(again)).rejects.toEqual(refusal('store.conflict', 'decision one'))
        const lease = { kind: 'new', id: 'lease-one', enrolment: 'm', expiresAt: SOON } as const
        await expect(store.decide(await t.release({ lease }))).rejects.toEqual(refusal('store.conflict', 'lease-one'))
      })
    })

    describe('leases', () => {
      const renewal = (id: string, expiresAt = SOON) =>
        ({ lease: { kind: 'renew', id: `lease-${id}`, expiresAt } }) as const

      test('a lease is renewed while it lives, and the entry says so', async () => {
        const t = await tenancy()
        await store.decide(await t.release({ id: 'a' }))
        const later = new Date(SOON.getTime() + 1000)
        const renewed = await store.decide(await t.release(renewal('a', later)))
        if (renewed.kind !== 'recorded') throw new Error(renewed.kind)
        expect(parseEntry(renewed.entry).kind).toBe('lease.renewed')
        expect(await store.lease(t.tenant, 'lease-a')).toMatchObject({ renewals: 1, expiresAt: later })
      })

      test('a lease that ended or expired is not renewed', async () => {
        const t = await tenancy()
        await store.decide(await t.release({ id: 'a' }))
        await t.apply({ change: 'lease.end', id: 'lease-a', why: 'lease.ended' })
        await expect(store.decide(await t.release(renewal('a')))).rejects.toEqual(refusal('lease.ended'))
        await expect(store.decide(await t.release(renewal('unknown')))).rejects.toEqual(refusal('lease.ended'))
        const short = await t.release({ id: 'b' })
        await store.decide({
          ...short,
          lease: { kind: 'new', id: 'lease-b', enrolment: 'm', expiresAt: new Date(Date.now() - 1) },
        })
        await expect(store.decide(await t.release(renewal('b')))).rejects.toEqual(refusal('lease.ended'))
        await expect(t.apply({ change: 'lease.end', id: 'lease-a', why: 'again' })).rejects.toEqual(
          refusal('lease.ended'),
        )
      })

      test.each<[string, Change]>([
        [
          'G06 a withdrawal',
          {
            change: 'statement.add',
            statement: {
              id: digest('w'),
              says: 'withdraw',
              agreement: AGREEMENT,
              owner: 'clinic',
              key: 'k',
              envelope: utf8('{}'),
              issuedAt: new Date(0),
              expiresAt: null,
            },
          },
        ],
        [
          'a distrusted platform',
          { change: 'distrust.add', rule: { id: 'd', mark: 'enrolment:machine-1', request: utf8('{}') } },
        ],
        [
          'a distrusted image',
          { change: 'distrust.add', rule: { id: 'd', mark: 'image:sha256:aa', request: utf8('{}') } },
        ],
      ])('%s ends the leases that relied on it, and no others', async (_what, change) => {
        const t = await tenancy()
        await store.decide(await t.release({ id: 'a' }))
        const other = await t.release({ id: 'other', decision: { marks: ['enrolment:machine-2'] } })
        const elsewhere = change.change === 'distrust.add'
        if (elsewhere) await store.decide(other)
        const recorded = await t.apply(change)
        expect(recorded.endedLeases).toEqual(['lease-a'])
        expect(await store.lease(t.tenant, 'lease-a')).toMatchObject({ endedAt: recorded.time })
        expect((await store.liveLeases(t.tenant, new Date())).map((l) => l.id)).toEqual(
          elsewhere ? ['lease-other'] : [],
        )
        expect(await store.liveLeases(t.tenant, new Date(), 'enrolment:machine-1')).toEqual([])
      })

      test('a machine that may attest no more loses its leases, and a refused renewal its own', async () => {
        const t = await tenancy()
        const machine = {
          id: 'machine-1',
          class: 'tpm',
          ekCertificateDigest: digest('ek'),
          akName: utf8('n'),
          akPublic: utf8('p'),
          resetCount: 0,
          restartCount: 0,
          record: utf8('{}'),
        }
        await t.apply({ change: 'enrolment.add', enrolment: machine })
        for (const id of ['a', 'b']) await store.decide(await t.release({ id }))
        const denied = await t.release({
          expect: null,
          consume: [],
          decision: { outcome: 'deny', code: 'appraisal.reset' },
          lease: { kind: 'end', id: 'lease-b', why: 'appraisal.reset' },
        })
        expect(await store.decide(denied)).toMatchObject({ endedLeases: ['lease-b'] })
        const ended = await t.apply({ change: 'enrolment.end', id: 'machine-1', why: 'evidence.revoked' })
        expect(ended.endedLeases).toEqual(['lease-a'])
        expect(await store.lease(t.tenant, 'lease-b')).toMatchObject({ endedWhy: 'appraisal.reset' })
      })

      test('a distrust rule is in force until it is lifted', async () => {
        const t = await tenancy()
        await t.apply({ change: 'distrust.add', rule: { id: 'd', mark: 'm', request: utf8('{"exact": 1}') } })
        expect(await store.distrustRules(t.tenant)).toMatchObject([
          { id: 'd', mark: 'm', request: utf8('{"exact": 1}') },
        ])
        await t.apply({ change: 'distrust.lift', id: 'd' })
        expect(await store.distrustRules(t.tenant)).toEqual([])
        await expect(t.apply({ change: 'distrust.lift', id: 'd' })).rejects.toEqual(refusal('store.unknown'))
      })
    })

    test('bytes come back exactly, and as copies of their own', async () => {
      const t = await tenancy()
      const value = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256)
      await t.apply({ change: 'setting.put', name: 'big', value: value.subarray(1) })
      const read = await store.setting(t.tenant, 'big')
      expect(read).toEqual(value.subarray(1))
      expect(Object.getPrototypeOf(read)).toBe(Uint8Array.prototype)
      read!.fill(0)
      expect(await store.setting(t.tenant, 'big')).toEqual(value.subarray(1))
    })
  })
}
