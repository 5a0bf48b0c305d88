import { OwnerClient, PrincipalKey } from '@vouchsafe/client'
import {
  type Digest,
  digestOf,
  fromBase64,
  parseEntry,
  parseExportedEntry,
  REFERENCE_TYPE,
  type ReferenceEntry,
  replayRecord,
  signEnvelope,
  utf8,
  whatIf,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { releaseRequest } from 'vouchsafe/attack/raw-guest'
import {
  attestByHardware,
  type HardwareWorld,
  MEASUREMENT,
  startHardwareWorld,
  TERMS,
} from '../testing/hardware-world.ts'

const signer = PrincipalKey.generate()
const DAY_MS = 86_400_000
const later = (ms: number) => new Date(Date.now() + ms).toISOString()
const provenance = { how: 'computed', source: 'OVMF.fd', inputs: {} } as const

const snp = (id: string, measurement: string, notAfter = later(DAY_MS)): ReferenceEntry => ({
  kind: 'snp',
  id,
  measurement,
  notAfter,
  provenance,
})
const zeros = '00'.repeat(48)
const td = (id: string, mrTd: string, rtmr2: string): ReferenceEntry => ({
  kind: 'tdx',
  id,
  mrTd,
  rtmr0: zeros,
  rtmr1: zeros,
  rtmr2,
  rtmr3: zeros,
  notAfter: later(DAY_MS),
  provenance,
})

/** One version as `vouchsafe reference` signs it. */
function versionOf(
  name: string,
  version: number,
  previous: Digest | null,
  entries: readonly ReferenceEntry[],
  by: PrincipalKey = signer,
) {
  const set = { vouchsafe: 'reference/v1', name, version, previous, issued: new Date().toISOString(), entries }
  const { payloadType, payload, signatures } = signEnvelope(
    REFERENCE_TYPE,
    utf8(JSON.stringify(set)),
    by.key,
    (bytes) => by.sign(bytes),
  )
  const body = { signer: by.key, version: { payloadType, payload, signatures: signatures.map((s) => ({ ...s })) } }
  return { body, digest: digestOf(fromBase64(payload), nodeCrypto) }
}

const refused = (attempt: Promise<unknown>): Promise<{ code: string; decision: string }> =>
  attempt.then(
    () => ({ code: 'accepted', decision: '' }),
    (error: { code: string; decision: string }) => error,
  )

/** An agreement that pins no boot itself: floors and chips are its own, boots are the set's. */
const { snp: floors, tdx: _, ...chips } = TERMS
const { measurements: __, ...rest } = floors as NonNullable<typeof floors>

let world: HardwareWorld
let digest: Digest | null = null
let version = 0
beforeAll(async () => {
  world = await startHardwareWorld(
    { ...chips, snp: rest, tdx: {} } as typeof TERMS,
    {},
    {
      references: [{ set: 'guests', signer: signer.key, atLeast: 2 }],
    },
  )
})
afterAll(() => world?.stop())

/** Files the next version of the set that the agreement names. */
async function file(...entries: readonly ReferenceEntry[]) {
  version++
  const next = versionOf('guests', version, digest, entries)
  const answer = await world.clinic.owner.fileReference('guests', next.body)
  digest = next.digest
  return answer
}

async function refusalIn(decision: string) {
  const { record } = await world.clinic.owner.decision(decision)
  const replay = await replayRecord(record, world.clinic.pin.decisions, nodeCrypto)
  expect(replay).toMatchObject({ signed: true, reproduced: true })
  return replay.verdict
}

describe('KB-11 an agreement names a set and its signer; the set says which boots are good', () => {
  test('F02 without the set nothing is accepted, and neither by a version before the one that is named (F10)', async () => {
    const none = await refused(attestByHardware(world, 'snp'))
    expect(none.code).toBe('appraisal.measurement')
    const { reasons } = await refusalIn(none.decision)
    expect(reasons).toContainEqual(
      expect.objectContaining({ code: 'appraisal.reference', actual: 'no such set is filed here' }),
    )
    await file(snp('guest', MEASUREMENT))
    const old = await refused(attestByHardware(world, 'snp'))
    expect((await refusalIn(old.decision)).reasons).toMatchObject([
      { code: 'appraisal.measurement' },
      { code: 'appraisal.reference', actual: 'version 1 is the newest here' },
    ])
  })

  test('a value that is filed is accepted from then on, and the record says who vouched for it', async () => {
    const receipt = await file(snp('guest', MEASUREMENT), td('td', MEASUREMENT, zeros))
    expect(receipt).toMatchObject({ set: 'guests', version: 2 })
    for (const format of ['snp', 'tdx'] as const) {
      const attested = await attestByHardware(world, format)
      const { findings } = await refusalIn(attested.id)
      expect(findings).toContainEqual(
        expect.objectContaining({
          check: 'appraisal.reference',
          expected: `reference set guests, version 2 or later, signed by ${signer.key}`,
          actual: expect.stringContaining(
            `version 2: held against ${format === 'snp' ? 'guest' : 'td'}, computed from OVMF.fd`,
          ),
        }),
      )
    }
  })

  test('D12 a value counts whole: the firmware of one with the kernel of another is neither', async () => {
    const other = '09'.repeat(48)
    await file(snp('guest', MEASUREMENT), td('one', MEASUREMENT, other), td('two', '77'.repeat(48), zeros))
    expect(await refused(attestByHardware(world, 'tdx'))).toMatchObject({ code: 'appraisal.measurement' })
  })

  test('a lease ends no later than the value that the boot was held against', async () => {
    const soon = later(5000)
    await file(snp('guest', MEASUREMENT, soon), snp('other', '77'.repeat(48)))
    const attested = await attestByHardware(world, 'snp')
    const { lease } = await (await releaseRequest(world.clinic.guest, attested, ['patients/key'])).send()
    expect(lease.expires).toBe(soon)
    await file(snp('guest', MEASUREMENT, later(DAY_MS)))
    const again = await attestByHardware(world, 'snp')
    const longer = await (await releaseRequest(world.clinic.guest, again, ['patients/key'])).send()
    expect(Date.parse(longer.lease.expires)).toBeGreaterThan(Date.parse(soon))
  })

  test('E13 a token outlives no value: what was dropped after attesting releases nothing', async () => {
    const attested = await attestByHardware(world, 'snp')
    await file(snp('other', '77'.repeat(48)))
    const { code } = await refused((await releaseRequest(world.clinic.guest, attested, ['patients/key'])).send())
    expect(code).toBe('appraisal.measurement')
    await file(snp('guest', MEASUREMENT))
    expect(await refused(attestByHardware(world, 'snp'))).toMatchObject({ code: 'accepted' })
  })

  test('what an owner ends stays ended, whatever its signer says later', async () => {
    const { owner } = world.clinic
    await file(snp('guest', MEASUREMENT), snp('spare', '77'.repeat(48)))
    await owner.endReference('guests', { value: 'guest', reason: 'CVE-2026-0001' })
    expect(await refused(attestByHardware(world, 'snp'))).toMatchObject({ code: 'appraisal.measurement' })
    await file(snp('guest', MEASUREMENT, later(9 * DAY_MS)), snp('spare', '77'.repeat(48)))
    expect(await refused(attestByHardware(world, 'snp'))).toMatchObject({ code: 'appraisal.measurement' })
    expect(await refused(owner.endReference('guests', { value: 'guest', reason: 'again' }))).toMatchObject({
      code: 'store.conflict',
    })
    expect(await refused(owner.endReference('guests', { value: 'nothing', reason: 'x' }))).toMatchObject({
      code: 'store.unknown',
    })
    const { sets } = await owner.listReferences()
    expect(sets).toMatchObject([
      {
        set: 'guests',
        signer: signer.key,
        version,
        values: [
          { id: 'guest', state: 'ended' },
          { id: 'spare', state: 'holds' },
        ],
      },
    ])
    const { filings, envelope } = await owner.referenceHistory('guests')
    expect(filings.map((f) => [f.version, f.by, f.ended?.reason ?? null])).toContainEqual([
      version - 1,
      'clinic-a',
      'CVE-2026-0001',
    ])
    expect(digestOf(fromBase64(envelope.payload), nodeCrypto)).toBe(digest)
    const lines = (await owner.exportLedger()).trimEnd().split('\n')
    const entries = lines
      .map((l) => parseEntry(parseExportedEntry(l).entry))
      .filter(({ subject }) => subject === 'guests')
    expect(entries.map(({ kind, facts }) => [kind, facts['version'] ?? facts['value']])).toContainEqual([
      'reference.ended',
      'guest',
    ])
    expect(entries.filter(({ kind }) => kind === 'reference.added')).toHaveLength(version)
  })
})

describe('F09 reference values are filed by the owner, signed by whoever vouches for them', () => {
  const stranger = PrincipalKey.generate()

  test('a stranger, and an auditor, file and end nothing', async () => {
    const { clinic } = world
    const auditor = PrincipalKey.generate()
    await clinic.owner.addPrincipal({ role: 'auditor', id: 'audit', key: auditor.key })
    const { body } = versionOf('mine', 1, null, [snp('x', MEASUREMENT)], stranger)
    for (const [key, code] of [
      [stranger, 'request.signature'],
      [auditor, 'request.forbidden'],
    ] as const) {
      const client = new OwnerClient(clinic.pin, key, { timeoutMs: 20_000 })
      expect(await refused(client.fileReference('mine', body))).toMatchObject({ code })
      expect(await refused(client.endReference('guests', { value: 'spare', reason: 'x' }))).toMatchObject({ code })
      client.close()
    }
    const reader = new OwnerClient(clinic.pin, auditor, { timeoutMs: 20_000 })
    expect((await reader.listReferences()).sets.map(({ set }) => set)).toEqual(['guests'])
    reader.close()
  })

  test.each<[string, () => ReturnType<typeof versionOf>['body'], string]>([
    [
      'by another key than it names',
      () => ({ ...versionOf('guests', version + 1, digest, [], stranger).body, signer: signer.key }),
      'agreement.signature',
    ],
    ['by another signer', () => versionOf('guests', version + 1, digest, [], stranger).body, 'store.conflict'],
    ['of a name of its own', () => versionOf('others', 1, null, []).body, 'input.malformed'],
    ['F10 of a number that was used', () => versionOf('guests', version, digest, []).body, 'agreement.superseded'],
    ['F10 of the first number', () => versionOf('guests', 1, null, []).body, 'agreement.superseded'],
    ['with a gap before it', () => versionOf('guests', version + 2, digest, []).body, 'store.conflict'],
    [
      'that follows another history',
      () => versionOf('guests', version + 1, `sha256:${'11'.repeat(32)}` as Digest, []).body,
      'store.conflict',
    ],
    [
      'that is too large for a record',
      () =>
        versionOf(
          'guests',
          version + 1,
          digest,
          Array.from({ length: 700 }, (_n, i) => snp(`v${i}`, MEASUREMENT)),
        ).body,
      'input.too-large',
    ],
  ])('a version %s is refused', async (_what, body, code) => {
    expect(await refused(world.clinic.owner.fileReference('guests', body()))).toMatchObject({ code })
    const { sets } = await world.clinic.owner.listReferences()
    expect(sets).toMatchObject([{ version }])
  })
})

describe('KB-11 a policy asks for the values that are filed', () => {
  const rego = `package release
allow if {
	input.platform.measurement in query_reference_value("guest")
	input.platform.family in query_reference_value("families")
}`
  const value = (id: string, json: string[], notAfter = later(DAY_MS)): ReferenceEntry => ({
    kind: 'value',
    id,
    value: json,
    notAfter,
    provenance,
  })
  let asking: HardwareWorld
  let filed: Digest | null = null
  let n = 0
  beforeAll(async () => {
    const grant = { id: 'g', owner: 'clinic-a', resources: ['patients/key'], when: [] }
    asking = await startHardwareWorld(
      TERMS,
      {},
      { references: [{ set: 'guests', signer: signer.key, atLeast: 1 }] },
      { grants: [{ ...grant, rego: { modules: { 'release.rego': rego }, allow: 'data.release.allow' } }] },
    )
  })
  afterAll(() => asking?.stop())

  async function fileNext(...entries: readonly ReferenceEntry[]) {
    const next = versionOf('guests', ++n, filed, entries)
    filed = next.digest
    await asking.clinic.owner.fileReference('guests', next.body)
  }
  const release = async () =>
    (await releaseRequest(asking.clinic.guest, await attestByHardware(asking, 'snp'), ['patients/key'])).send()
  async function replayed(decision: string) {
    const { record } = await asking.clinic.owner.decision(decision)
    const replay = await replayRecord(record, asking.clinic.pin.decisions, nodeCrypto)
    expect(replay).toMatchObject({ signed: true, reproduced: true })
    return replay
  }
  const asked = ({ verdict }: Awaited<ReturnType<typeof replayed>>) =>
    verdict.conditions?.filter((c) => c.rule.startsWith('query')).map((c) => [c.rule, c.held])

  test('the record tells what was asked and answered, replays alike, and judges alike under what-if', async () => {
    const soon = later(6000)
    await fileNext(snp('guest', MEASUREMENT), value('families', ['Milan'], soon))
    const { decision, lease } = await release()
    expect(lease.expires).toBe(soon)
    const replay = await replayed(decision)
    expect(asked(replay)).toEqual([
      ['query_reference_value("guest")', true],
      ['query_reference_value("families")', true],
    ])
    const { record } = replay
    if (record.operation !== 'release' || record.inputs.attest === null) throw new Error('no release')
    const told = await whatIf({}, nodeCrypto)(record.inputs.attest)
    expect(told).toMatchObject({
      before: { resources: ['clinic-a/patients/key'] },
      after: { resources: ['clinic-a/patients/key'] },
    })
  })

  test('a value that its owner ended, or that is gone, answers no longer', async () => {
    await fileNext(snp('guest', MEASUREMENT), value('families', ['Milan']))
    await asking.clinic.owner.endReference('guests', { value: 'families', reason: 'withdrawn' })
    const ended = await refused(release())
    expect(ended.code).toBe('policy.condition')
    expect(asked(await replayed(ended.decision))).toEqual([
      ['query_reference_value("guest")', true],
      ['query_reference_value("families")', false],
    ])
    await fileNext(value('families', ['Milan']))
    expect((await refused(release())).code).toBe('policy.condition')
  })
})
