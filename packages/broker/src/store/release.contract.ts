import { describe, expect, test } from 'vitest'
import { randomBytes } from 'node:crypto'
import { parseEntry, utf8 } from '@vouchsafe/core'
import type { Change } from './changes.ts'
import { AGREEMENT, FAR_OFF, agreement, digest, resource } from './testing/tenancy.ts'
import { refusal } from './testing/refusal.ts'
import type { Shared } from './testing/harness.ts'

/** The release transaction, and the leases that it begins. */
export function describeReleases({ tenancy, opened }: Shared): void {
  describe('the release transaction', () => {
    test('records decision, lease and leaf, and the leaf binds the exact record', async () => {
      const t = await tenancy()
      const wanted = await t.release()
      const decided = await opened().decide(wanted)
      if (decided.kind !== 'recorded') throw new Error(decided.kind)
      const { id } = wanted.decision
      const stored = await opened().decision(t.tenant, id)
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
      expect(await opened().lease(t.tenant, `lease-${id}`)).toMatchObject({
        decision: id,
        enrolment: 'machine-1',
        agreement: AGREEMENT,
        renewals: 0,
        endedAt: null,
      })
      expect(await opened().decisions(t.tenant, { mark: 'image:sha256:aa', limit: 5 })).toMatchObject([{ id }])
      expect(await t.check(decided.checkpoint)).toMatchObject({ ok: true })
    })

    test('A01 a nonce that was used is refused, and the refusal leaves nothing behind', async () => {
      const t = await tenancy()
      const nonce = randomBytes(32)
      await opened().decide(await t.release({ nonce }))
      const before = await t.export()
      const again = await t.release({ nonce, id: 'again' })
      await expect(opened().decide(again)).rejects.toEqual(refusal('evidence.stale', 'used before'))
      expect(await t.export()).toEqual(before)
      expect(await opened().decision(t.tenant, 'again')).toBeNull()
      expect(await opened().lease(t.tenant, 'lease-again')).toBeNull()
    })

    test('A01 a nonce used up by an owner’s call is used up for releases, too', async () => {
      const t = await tenancy()
      const nonce = { id: randomBytes(32), expiresAt: FAR_OFF }
      await t.apply({ change: 'nonce.consume', nonce })
      await expect(t.apply({ change: 'nonce.consume', nonce })).rejects.toEqual(refusal('evidence.stale'))
      await expect(opened().decide(await t.release({ nonce: nonce.id }))).rejects.toEqual(
        refusal('evidence.stale', 'used before'),
      )
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
            expiresAt: FAR_OFF,
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
          set: { name: 'r', version: 1, digest: digest('r'), bytes: utf8('r'), expiresAt: FAR_OFF },
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
      await expect(opened().decide(wanted)).rejects.toEqual(refusal('store.changed'))
      expect(await t.export()).toEqual(before)
      expect(await opened().decision(t.tenant, wanted.decision.id)).toBeNull()
      // the nonce was not lost with it
      if (change.change.startsWith('resource')) return
      expect(await opened().decide(await t.release({ nonce: wanted.consume[0]!.id }))).toMatchObject({
        kind: 'recorded',
      })
    })

    test('a newer agreement, or the end of what was relied on, refuses too', async () => {
      const t = await tenancy()
      const wanted = await t.release()
      const ended = { ...wanted, expect: { ...wanted.expect!, validUntil: new Date() } }
      await expect(opened().decide(ended)).rejects.toEqual(refusal('store.changed', 'held until'))
      const second = agreement('study', '2', AGREEMENT)
      await t.apply(
        { change: 'agreement.file', agreement: second },
        { change: 'agreement.adopt', name: 'study', digest: second.digest },
      )
      const { epochs } = await opened().head(t.tenant)
      await expect(opened().decide(await t.release({ epochs }))).rejects.toEqual(
        refusal('store.changed', 'another version'),
      )
      const other = await t.release()
      const unheard = { ...other, expect: { ...other.expect!, agreement: { name: 'unheard', digest: AGREEMENT } } }
      await expect(opened().decide(unheard)).rejects.toEqual(refusal('store.changed', 'unheard'))
    })

    test('a release that relies on nothing, or uses up no nonce, is refused as a bug', async () => {
      const t = await tenancy()
      await expect(opened().decide(await t.release({ expect: null }))).rejects.toEqual(
        refusal('internal', 'expectations'),
      )
      await expect(opened().decide(await t.release({ consume: [] }))).rejects.toEqual(refusal('internal', 'nonce'))
      const denied = await t.release({ decision: { outcome: 'deny' } })
      await expect(opened().decide(denied)).rejects.toEqual(refusal('internal', 'lease without a release'))
    })

    test('I10 a denial needs neither expectations nor nonce, and is recorded', async () => {
      const t = await tenancy()
      const wanted = await t.release({
        expect: null,
        consume: [],
        lease: { kind: 'none' },
        decision: { outcome: 'deny', code: 'appraisal.image', request: null },
      })
      const decided = await opened().decide(wanted)
      if (decided.kind !== 'recorded') throw new Error(decided.kind)
      expect(parseEntry(decided.entry).facts).toEqual({ outcome: 'deny', code: 'appraisal.image' })
    })

    test('J09 the same request of the same key gets its first decision, with no second entry and no nonce lost', async () => {
      const t = await tenancy()
      const request = { id: 'request-1', proofKey: 'key-1' }
      const first = await t.release({ id: 'first', decision: { request } })
      await opened().decide(first)
      const before = await t.export()
      const nonce = randomBytes(32)
      const repeated = await opened().decide(await t.release({ id: 'second', nonce, decision: { request } }))
      expect(repeated).toMatchObject({ kind: 'repeated', decision: { id: 'first', record: first.decision.record } })
      expect(await t.export()).toEqual(before)
      const other = await opened().decide(
        await t.release({ id: 'third', nonce, decision: { request: { id: 'request-1', proofKey: 'key-2' } } }),
      )
      expect(other).toMatchObject({ kind: 'recorded' })
      expect(await opened().decisionOf(t.tenant, request)).toMatchObject({ id: 'first' })
    })

    test('a decision or lease id that is taken is a conflict', async () => {
      const t = await tenancy()
      await opened().decide(await t.release({ id: 'one' }))
      const again = await t.release({ id: 'one', decision: { request: null } })
      await expect(opened().decide(again)).rejects.toEqual(refusal('store.conflict', 'decision one'))
      const lease = { kind: 'new', id: 'lease-one', enrolment: 'm', expiresAt: FAR_OFF } as const
      await expect(opened().decide(await t.release({ lease }))).rejects.toEqual(refusal('store.conflict', 'lease-one'))
    })
  })

  describe('leases', () => {
    const renewal = (id: string, expiresAt = FAR_OFF) =>
      ({ lease: { kind: 'renew', id: `lease-${id}`, expiresAt } }) as const

    test('a lease is renewed while it lives, and the entry says so', async () => {
      const t = await tenancy()
      await opened().decide(await t.release({ id: 'a' }))
      const later = new Date(FAR_OFF.getTime() + 1000)
      const renewed = await opened().decide(await t.release(renewal('a', later)))
      if (renewed.kind !== 'recorded') throw new Error(renewed.kind)
      expect(parseEntry(renewed.entry).kind).toBe('lease.renewed')
      expect(await opened().lease(t.tenant, 'lease-a')).toMatchObject({ renewals: 1, expiresAt: later })
    })

    test('a lease that ended or expired is not renewed', async () => {
      const t = await tenancy()
      await opened().decide(await t.release({ id: 'a' }))
      await t.apply({ change: 'lease.end', id: 'lease-a', why: 'lease.ended' })
      await expect(opened().decide(await t.release(renewal('a')))).rejects.toEqual(refusal('lease.ended'))
      await expect(opened().decide(await t.release(renewal('unknown')))).rejects.toEqual(refusal('lease.ended'))
      const short = await t.release({ id: 'b' })
      await opened().decide({
        ...short,
        lease: { kind: 'new', id: 'lease-b', enrolment: 'm', expiresAt: new Date(Date.now() - 1) },
      })
      await expect(opened().decide(await t.release(renewal('b')))).rejects.toEqual(refusal('lease.ended'))
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
      await opened().decide(await t.release({ id: 'a' }))
      const other = await t.release({ id: 'other', decision: { marks: ['enrolment:machine-2'] } })
      const elsewhere = change.change === 'distrust.add'
      if (elsewhere) await opened().decide(other)
      const recorded = await t.apply(change)
      expect(recorded.endedLeases).toEqual(['lease-a'])
      expect(await opened().lease(t.tenant, 'lease-a')).toMatchObject({ endedAt: recorded.time })
      expect((await opened().liveLeases(t.tenant, new Date())).map((l) => l.id)).toEqual(
        elsewhere ? ['lease-other'] : [],
      )
      expect(await opened().liveLeases(t.tenant, new Date(), 'enrolment:machine-1')).toEqual([])
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
      for (const id of ['a', 'b']) await opened().decide(await t.release({ id }))
      const denied = await t.release({
        expect: null,
        consume: [],
        decision: { outcome: 'deny', code: 'appraisal.reset' },
        lease: { kind: 'end', id: 'lease-b', why: 'appraisal.reset' },
      })
      expect(await opened().decide(denied)).toMatchObject({ endedLeases: ['lease-b'] })
      const ended = await t.apply({ change: 'enrolment.end', id: 'machine-1', why: 'evidence.revoked' })
      expect(ended.endedLeases).toEqual(['lease-a'])
      expect(await opened().lease(t.tenant, 'lease-b')).toMatchObject({ endedWhy: 'appraisal.reset' })
    })

    test('a distrust rule is in force until it is lifted', async () => {
      const t = await tenancy()
      await t.apply({ change: 'distrust.add', rule: { id: 'd', mark: 'm', request: utf8('{"exact": 1}') } })
      expect(await opened().distrustRules(t.tenant)).toMatchObject([
        { id: 'd', mark: 'm', request: utf8('{"exact": 1}') },
      ])
      await t.apply({ change: 'distrust.lift', id: 'd' })
      expect(await opened().distrustRules(t.tenant)).toEqual([])
      await expect(t.apply({ change: 'distrust.lift', id: 'd' })).rejects.toEqual(refusal('store.unknown'))
    })
  })

  test('G09 what one tenant has, another does not find under the same ids', async () => {
    const a = await tenancy()
    const b = await tenancy()
    const decide = await a.release({ id: 'shared-id' })
    await opened().decide(decide)
    await a.apply(
      { change: 'setting.put', name: 'n', value: utf8('a') },
      { change: 'principal.add', principal: { key: 'k', party: 'p', role: 'owner' } },
      { change: 'resource.put', resource: resource('private', 1, 'clinic') },
      { change: 'distrust.add', rule: { id: 'd', mark: 'm', request: utf8('{}') } },
      { change: 'checkpoint.keep', checkpoint: { origin: 'o', size: 1, checkpoint: 'c' } },
    )
    expect(await opened().decision(b.tenant, 'shared-id')).toBeNull()
    expect(await opened().decisionOf(b.tenant, decide.decision.request!)).toBeNull()
    expect(await opened().decisions(b.tenant, { limit: 9 })).toEqual([])
    expect(await opened().decisions(b.tenant, { mark: 'enrolment:machine-1', limit: 9 })).toEqual([])
    expect(await opened().lease(b.tenant, 'lease-shared-id')).toBeNull()
    expect(await opened().liveLeases(b.tenant, new Date())).toEqual([])
    expect(await opened().setting(b.tenant, 'n')).toBeNull()
    expect(await opened().principal(b.tenant, 'k')).toBeNull()
    expect(await opened().resource(b.tenant, 'private')).toBeNull()
    expect(await opened().distrustRules(b.tenant)).toEqual([])
    expect(await opened().foreignCheckpoint(b.tenant, 'o')).toBeNull()
    expect(await opened().entriesAbout(b.tenant, 'shared-id')).toEqual([])
    // and the same nonce, request and decision id are b's to use
    const [nonce] = decide.consume
    expect(await opened().decide(await b.release({ id: 'shared-id', nonce: nonce!.id }))).toMatchObject({
      kind: 'recorded',
    })
  })
}
