import { PrincipalKey } from '@vouchsafe/client'
import { decisionRecordSchema, fromBase64, fromUtf8, parseSchema, replayRecord, whatIf } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as kit from '@vouchsafe/testkit'
import { bootEvents, measuredEvent, newTcgLog, replayTcgLog, writeTcgLog } from '@vouchsafe/tpm/eventlog'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSealed, releaseRequest } from 'vouchsafe/attack/raw-guest'
import { initBroker } from '../init.ts'
import {
  anchorsOfVendors,
  attestByHardware,
  type HardwareWorld,
  makeVendors,
  MEASUREMENT,
  type Showing,
  startHardwareWorld,
  TERMS,
} from '../testing/hardware-world.ts'

let world: HardwareWorld
beforeAll(async () => {
  world = await startHardwareWorld()
})
afterAll(() => world?.stop())

const refusalOf = (attempt: Promise<unknown>): Promise<{ code: string; decision: string }> =>
  attempt.then(
    () => ({ code: 'accepted', decision: '' }),
    (error: { code: string; decision: string }) => error,
  )
const flipped = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex')).with(0, 0)

describe('KB-02 a broker takes the evidence of a CPU over TLS, from report to sealed secret', () => {
  test.each(['snp', 'tdx'] as const)(
    '%s: accepted, released, and walked again offline from the record',
    async (format) => {
      const { clinic, agreement } = world
      const attested = await attestByHardware(world, format)
      const { sealed, decision } = await (await releaseRequest(clinic.guest, attested, ['patients/key'])).send()
      const secret = await openSealed(clinic.pin, attested, agreement, 'patients/key', sealed[0]?.jwe ?? '')
      expect(fromUtf8(secret)).toBe('data key')
      const asked = world.server.requests.length
      for (const id of [attested.id, decision]) {
        const { record } = await clinic.owner.decision(id)
        const replay = await replayRecord(record, clinic.pin.decisions, nodeCrypto)
        expect(replay).toMatchObject({ signed: true, reproduced: true })
        expect(replay.verdict.findings.map((f) => f.check)).toContain('appraisal.measurement')
      }
      expect(world.server.requests.length).toBe(asked)
      const payload = JSON.parse(Buffer.from(attested.token.split('.')[1] ?? '', 'base64url').toString())
      expect(payload).toMatchObject({ 'vouchsafe.simulated': true, sub: expect.stringMatching(`^${format}:`) })
      expect(payload.submods.machine['vouchsafe.claims']).toMatchObject({
        format,
        class: 'simulated',
        hostExcluded: true,
      })
    },
  )

  test('a provider’s key (VLEK) comes with the guest', async () => {
    const vek = kit.makeVek({ authorities: world.vendors.amd, kind: 'vlek' })
    const attested = await attestByHardware(world, 'snp', { vek, snp: { keyInfo: 4 } })
    expect(attested.id).toMatch(/^d-/)
  })

  test('A10 a lease is renewed by the guest that has it, and by no other of the same chip', async () => {
    const { clinic } = world
    const reportId = (byte: number): Showing => ({ snp: { reportId: new Uint8Array(32).fill(byte) } })
    const first = await attestByHardware(world, 'snp', reportId(1))
    const { lease } = await (await releaseRequest(clinic.guest, first, ['patients/key'])).send()
    const { leases } = await clinic.owner.listLeases()
    expect(leases.find((l) => l.id === lease.id)?.machine).toMatch(/^snp:/)
    const again = await attestByHardware(world, 'snp', reportId(1))
    const other = await attestByHardware(world, 'snp', reportId(2))
    const machine = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub
    expect(machine(again.token)).toBe(machine(first.token))
    expect(machine(other.token)).not.toBe(machine(first.token))
  })
})

describe('each check has a twin that is refused, with its own code in the record', () => {
  const strangers = makeVendors()
  const old = { ...kit.defaultTcb('Milan'), snp: 23 }
  test.each<[string, 'snp' | 'tdx', () => Showing, string]>([
    [
      'A02 report data of another request',
      'snp',
      () => ({ reportData: new Uint8Array(64).fill(1) }),
      'evidence.binding',
    ],
    [
      'A02 report data of another request',
      'tdx',
      () => ({ reportData: new Uint8Array(64).fill(1) }),
      'evidence.binding',
    ],
    ['D01 a guest that the host may debug', 'snp', () => ({ snp: { policy: 0xb_0000n } }), 'appraisal.class'],
    ['D01 a TD under debug', 'tdx', () => ({ td: { attributes: 0x1000_0001n } }), 'appraisal.class'],
    [
      'D12 another kernel in the same firmware',
      'tdx',
      () => ({ td: { rtmrs: [0, 0, 9, 0].map((n) => new Uint8Array(48).fill(n)) } }),
      'appraisal.measurement',
    ],
    ['another measurement', 'snp', () => ({ snp: { measurement: flipped(MEASUREMENT) } }), 'appraisal.measurement'],
    ['D05 firmware that was below the floor at launch', 'snp', () => ({ snp: { launchTcb: old } }), 'appraisal.tcb'],
    ['D08 a chain to another root', 'snp', () => ({ vendors: strangers, vek: strangers.vek }), 'endorsement.untrusted'],
    ['D13 a chain to another root', 'tdx', () => ({ vendors: strangers }), 'endorsement.untrusted'],
    [
      'D06 the certificate of another TCB',
      'snp',
      () => ({ vek: kit.makeVek({ authorities: world.vendors.amd, tcb: old }) }),
      'endorsement.mismatch',
    ],
    [
      'D07 a hidden chip',
      'snp',
      () => ({ vek: world.vendors.vek, snp: { chipId: new Uint8Array(64) } }),
      'appraisal.chip',
    ],
    [
      'D04 a report that was asked for at a lower privilege',
      'snp',
      () => ({ snp: { vmpl: 2 } }),
      'appraisal.privilege',
    ],
    [
      'D03 data of the host that nobody expects',
      'snp',
      () => ({ snp: { hostData: new Uint8Array(32).fill(3) } }),
      'appraisal.host-data',
    ],
    [
      'H01 another image than agreed',
      'snp',
      () => ({ launch: { image: `sha256:${'0'.repeat(64)}` } }),
      'appraisal.image',
    ],
  ])('%s (%s)', async (_what, format, showing, code) => {
    const { code: answered, decision } = await refusalOf(attestByHardware(world, format, showing()))
    const { record } = await world.clinic.owner.decision(decision)
    const { verdict, reproduced } = await replayRecord(record, world.clinic.pin.decisions, nodeCrypto)
    expect(reproduced).toBe(true)
    expect(verdict.reasons.map((r) => r.code)).toContain(code)
    expect(answered).toBe(verdict.reasons[0]?.code)
  })

  test('A01 evidence that is shown twice', async () => {
    const { body } = await attestByHardware(world, 'snp')
    expect(await refusalOf(world.clinic.guest.attest(body))).toMatchObject({ code: 'evidence.stale' })
  })

  test.each(['snp', 'tdx'] as const)('H18 a launch log other than the report commits to (%s)', async (format) => {
    const attempt = attestByHardware(world, format, { launch: { debug: true }, sentLaunch: {} })
    expect(await refusalOf(attempt)).toMatchObject({ code: 'evidence.binding' })
  })

  test('A02 a report of this session over another nonce', async () => {
    const { body } = await attestByHardware(world, 'snp')
    const nonce = await world.clinic.guest.nonce('attest', body.session)
    expect(await refusalOf(world.clinic.guest.attest({ ...body, nonce }))).toMatchObject({ code: 'evidence.binding' })
  })
})

describe('what the vendors publish counts', () => {
  test('D09 what AMD or Intel took back is refused', async () => {
    const other = await startHardwareWorld(undefined, { revoked: ['vek', 'pck'] })
    try {
      for (const format of ['snp', 'tdx'] as const)
        expect(await refusalOf(attestByHardware(other, format))).toMatchObject({ code: 'endorsement.revoked' })
    } finally {
      await other.stop()
    }
  })

  test('D14 L03 a platform that Intel calls out of date is refused, with the advisory that says why', async () => {
    const published = { tcbStatus: 'OutOfDate', advisories: ['INTEL-SA-00001'] }
    const other = await startHardwareWorld(undefined, published)
    try {
      const { code, decision } = await refusalOf(attestByHardware(other, 'tdx'))
      expect(code).toBe('appraisal.tcb')
      const { record } = await other.clinic.owner.decision(decision)
      const { verdict } = await replayRecord(record, null, nodeCrypto)
      expect(verdict.reasons.map((r) => r.actual)).toEqual(['OutOfDate', 'INTEL-SA-00001'])
    } finally {
      await other.stop()
    }
  })

  test('D11 L02 an agreement on other chips accepts none of these; a vendor out of reach makes no yes', async () => {
    const other = await startHardwareWorld({ chips: ['00'.repeat(64)] })
    try {
      const { decision } = await refusalOf(attestByHardware(other, 'snp'))
      const { record } = await other.clinic.owner.decision(decision)
      const { verdict } = await replayRecord(record, null, nodeCrypto)
      expect(new Set(verdict.reasons.map((r) => r.code))).toEqual(
        new Set(['appraisal.chip', 'appraisal.measurement', 'appraisal.tcb', 'appraisal.guest-policy']),
      )
      other.server.answer = () => undefined
      expect(await refusalOf(attestByHardware(other, 'tdx'))).toMatchObject({ code: 'endorsement.unavailable' })
    } finally {
      await other.stop()
    }
  })
})

test('D02 a production store has no place for roots of a simulator', async () => {
  const vendors = makeVendors()
  const request = (anchors: ReturnType<typeof anchorsOfVendors>) => ({
    directory: '/nonexistent/vouchsafe',
    profile: 'production' as const,
    listen: { host: '127.0.0.1', port: 0 },
    publicUrl: 'https://127.0.0.1:0',
    tenants: [{ id: 'a', owner: 'a', ownerKey: PrincipalKey.generate().key, anchors }],
  })
  for (const anchor of anchorsOfVendors(vendors))
    for (const klass of ['simulated', 'hardware'] as const)
      await expect(initBroker(request([{ ...anchor, class: klass as 'simulated' }]), new Date())).rejects.toMatchObject(
        {
          code: 'endorsement.untrusted',
        },
      )
})

test('L01 KB-32 (partly: distrust) a chip, and old microcode of a line, end their leases and no others', async () => {
  const other = await startHardwareWorld()
  const { clinic, vendors } = other
  const hwid = new Uint8Array(64).fill(0xc1)
  const second: Showing = { vek: kit.makeVek({ authorities: vendors.amd, hwid }), snp: { chipId: hwid } }
  const leaseOf = async (showing: Showing) => {
    const attested = await attestByHardware(other, 'snp', showing)
    return (await releaseRequest(clinic.guest, attested, ['patients/key'])).send()
  }
  const live = async () => (await clinic.owner.listLeases()).leases.map((l) => l.id)
  try {
    const [a, b] = [await leaseOf({}), await leaseOf(second)]
    const stolen = { id: 'stolen', reason: 'stolen', subject: { kind: 'chip', chip: 'c1'.repeat(64) } } as const
    const affectedByChip = [{ decision: b.decision, lease: b.lease.id, running: true }]
    expect(await clinic.owner.distrust(stolen, { dryRun: true })).toMatchObject({
      applied: false,
      affected: affectedByChip,
    })
    expect(await live()).toHaveLength(2)
    await clinic.owner.distrust(stolen, { dryRun: false })
    expect(await live()).toEqual([a.lease.id])
    expect(await refusalOf(attestByHardware(other, 'snp', second))).toMatchObject({ code: 'appraisal.distrusted' })

    const old = (below: number) =>
      ({ id: `old-${below}`, reason: 'leaks', subject: { kind: 'microcode', family: 'Milan', below } }) as const
    expect((await clinic.owner.distrust(old(219), { dryRun: true })).affected).toEqual([])
    const { affected } = await clinic.owner.distrust(old(220), { dryRun: false })
    expect(new Set(affected.map((x) => [x.lease, x.running].join()))).toEqual(
      new Set([`${a.lease.id},true`, `${b.lease.id},false`]),
    )
    expect(await live()).toEqual([])
    expect(await refusalOf(attestByHardware(other, 'snp'))).toMatchObject({ code: 'appraisal.distrusted' })
  } finally {
    await other.stop()
  }
})

test('L01 a lease is found and ended however many decisions came after it', async () => {
  const other = await startHardwareWorld()
  const { clinic } = other
  try {
    const attested = await attestByHardware(other, 'snp')
    const { lease } = await (await releaseRequest(clinic.guest, attested, ['patients/key'])).send()
    for (let n = 0; n < 101; n++) await attestByHardware(other, 'snp')
    const rule = { id: 'old', reason: 'leaks', subject: { kind: 'microcode', family: 'Milan', below: 220 } } as const
    const { affected } = await clinic.owner.distrust(rule, { dryRun: false })
    expect(affected).toMatchObject([{ lease: lease.id, running: true }])
    expect((await clinic.owner.listLeases()).leases).toEqual([])
  } finally {
    await other.stop()
  }
})

test.each(['snp', 'tdx'] as const)('what-if judges recorded %s evidence under other terms', async (format) => {
  const { clinic, agreement } = world
  const { id } = await attestByHardware(world, format)
  const { payload } = (await clinic.owner.decision(id)).record
  const recorded = parseSchema(decisionRecordSchema, JSON.parse(fromUtf8(fromBase64(payload))), 'record')
  if (recorded.operation !== 'attest') throw new Error('not an attestation')
  const judged = (environment: typeof agreement.body.environment) =>
    whatIf({ agreement: { ...agreement.body, environment } }, nodeCrypto)(recorded.inputs)
  const { hardware: _, ...noCpus } = agreement.body.environment
  const [same, none] = [await judged(agreement.body.environment), await judged(noCpus)]
  for (const outcome of [same, none])
    expect(outcome?.before.resources).toEqual([expect.stringMatching(/patients\/key$/)])
  expect(same?.after).toEqual(same?.before)
  expect(none?.after.resources).toEqual([])
  expect(none?.after.refusals.get('*')?.map((r) => r.code)).toContain('appraisal.chip')
})

describe('D15 D16 KB-31 kinds that are known and not judged are refused by their name, before anything is looked at', () => {
  const document = Buffer.from('8444a1013822a0', 'hex').toString('base64url')
  test.each([
    ['nitro', { format: 'nitro', document }],
    ['nitro without its document', { format: 'nitro' }],
    ['sev', { format: 'sev', measurement: document }],
    ['sample', { format: 'sample', svn: '1', report_data: '' }],
  ])('%s', async (_what, shown) => {
    const { body } = await attestByHardware(world, 'snp')
    const wrong = { ...body, evidence: shown } as unknown as typeof body
    expect(await refusalOf(world.clinic.guest.attest(wrong))).toMatchObject({ code: 'evidence.unsupported' })
  })

  test('in the place of a report, its bytes are none', async () => {
    const { body } = await attestByHardware(world, 'snp')
    const { launchLog } = body.evidence
    const wrong = { ...body, evidence: { format: 'snp' as const, report: document, launchLog } }
    const session = 'nitro-in-a-report'
    const nonce = await world.clinic.guest.nonce('attest', session)
    const { code } = await refusalOf(world.clinic.guest.attest({ ...wrong, session, nonce }))
    expect(code).toBe('input.malformed')
  })
})

describe('B09 D12 a TD’s boot log is replayed to its registers, and names what made one that is not as agreed', () => {
  const boot = (kernel: string) => {
    const events = [
      bootEvents.separator(1),
      { ...bootEvents.file('/vmlinuz', new TextEncoder().encode(kernel)), register: 2 },
    ].map((event) => measuredEvent(event, ['sha384'], nodeCrypto))
    const log = { ...newTcgLog(['sha384'], events), space: 'ccmr' as const }
    const { registers } = replayTcgLog(log, 'sha384', nodeCrypto)
    const rtmrs = [1, 2, 3, 4].map((n) => registers.get(n) ?? new Uint8Array(48))
    return { bootLog: writeTcgLog(log), td: { rtmrs } }
  }
  const good = boot('the kernel')
  const hex = (n: number) => Buffer.from(good.td.rtmrs[n] ?? []).toString('hex')
  let other: HardwareWorld
  beforeAll(async () => {
    const tdx = { mrTd: [MEASUREMENT], rtmr0: [hex(0)], rtmr1: [hex(1)], rtmr2: [hex(2)], rtmr3: [hex(3)] }
    other = await startHardwareWorld({ chips: 'any-genuine', tdx } as unknown as typeof TERMS)
  })
  afterAll(() => other?.stop())
  const reasonsOf = async (showing: Showing) => {
    const { decision } = await refusalOf(attestByHardware(other, 'tdx', showing))
    const { record } = await other.clinic.owner.decision(decision)
    return (await replayRecord(record, other.clinic.pin.decisions, nodeCrypto)).verdict.reasons
  }

  test('with the log and without it the agreed boot is accepted', async () => {
    expect((await attestByHardware(other, 'tdx', good)).id).toMatch(/^d-/)
    expect((await attestByHardware(other, 'tdx', { td: good.td })).id).toMatch(/^d-/)
  })

  test('the log of another boot is refused, whatever the registers say', async () => {
    const { bootLog } = boot('another kernel')
    expect(await reasonsOf({ ...good, bootLog })).toMatchObject([{ code: 'evidence.log' }])
    expect(await reasonsOf({ ...good, bootLog: bootLog.subarray(0, 40) })).toMatchObject([{ code: 'input.malformed' }])
  })

  test('another kernel is refused by its register, and the event is named', async () => {
    expect(await reasonsOf(boot('another kernel'))).toMatchObject([
      { code: 'appraisal.measurement', expected: `RTMR1 ${hex(1)}`, actual: expect.stringContaining('/vmlinuz') },
    ])
  })
})
