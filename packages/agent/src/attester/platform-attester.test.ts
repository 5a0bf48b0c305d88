import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { buffer } from 'node:stream/consumers'
import path from 'node:path'
import { GuestClient } from '@vouchsafe/client'
import {
  type Agreement,
  type AgreementBody,
  evidence,
  parseAgreement,
  replayRecord,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  whatIf,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type SimulatedGuest, startSimulatedGuest } from '@vouchsafe/simulator'
import * as kit from '@vouchsafe/testkit'
import { Tpm } from '@vouchsafe/tpm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type HardwareWorld,
  MEASUREMENT,
  startHardwareWorld,
  TERMS,
} from '../../../broker/src/testing/hardware-world.ts'
import { approve } from '../../../broker/src/testing/two-clinics.ts'
import { measureLaunch } from '../launch/measure-launch.ts'
import { planLaunch } from '../launch/plan-launch.ts'
import { BrokerSession } from '../session/broker-session.ts'
import { Checkpoints } from '../session/checkpoints.ts'
import {
  akCertificate,
  becomeAzureVm,
  becomeGceVm,
  leaveHclReport,
  makeGoogleRoot,
  PROJECT,
  readUserData,
  runtimeDataOf,
  VM,
} from '../testing/cloud-vtpm.ts'
import { FakeTsm } from '../testing/fake-tsm.ts'
import { PlatformAttester } from './platform-attester.ts'

/** One software TPM that is provisioned as both clouds provision theirs, and a broker that takes what they show. */
const directory = mkdtempSync(path.join(tmpdir(), 'vsa-cloud-'))
const measurement = Uint8Array.from(Buffer.from(MEASUREMENT, 'hex'))
const google = makeGoogleRoot()
let guest: SimulatedGuest
let world: HardwareWorld
let quotes: Server
let launchLog: Uint8Array
let azureAk: kit.TestKey
let gceAk: kit.TestKey

type Platforms = NonNullable<AgreementBody['environment']['platforms']>
const PLATFORMS: Platforms = { azure: { vms: [VM], report: 'fresh' }, gce: { projects: [PROJECT], cpu: 'required' } }

beforeAll(async () => {
  guest = await startSimulatedGuest({ directory: path.join(directory, 'guest') })
  const registers = Object.fromEntries(Object.entries(guest.registers).map(([n, value]) => [n, [value]]))
  const anchor = { name: 'simulated Google', class: 'simulated' as const, certificate: toBase64(google.der) }
  world = await startHardwareWorld(TERMS, {}, { registers, platforms: PLATFORMS, hostExcluded: false }, {}, [anchor])
  azureAk = await becomeAzureVm(guest.tpm)
  gceAk = await becomeGceVm(guest.tpm, google)
  await leaveHclReport(guest.tpm, paravisor())
  const launch = planLaunch(world.agreement, {}, 'runc')
  {
    await using tpm = await Tpm.open(guest.tpm)
    launchLog = await measureLaunch(tpm, launch)
  }
  // Azure's metadata service: makes a quote of what it is given
  quotes = createServer((request, response) => {
    void buffer(request).then((body) => {
      const { report } = JSON.parse(body.toString()) as { report: string }
      const reportData = new Uint8Array(Buffer.from(report, 'base64url').subarray(128, 192))
      const answer = request.url === '/acc/tdquote' ? { quote: toBase64Url(tdQuote(reportData)) } : {}
      response.writeHead(request.url === '/down' ? 503 : 200).end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => quotes.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  quotes?.close()
  await world?.stop()
  await guest?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** What the paravisor says of the vTPM, and the CPU's report over that, unless told otherwise. */
interface Paravisor {
  readonly userData?: Uint8Array
  readonly ak?: kit.TestKey
  readonly vm?: string
  /** What the CPU reports over, in place of what the paravisor says. */
  readonly over?: Uint8Array
  readonly snp?: object
}
const runtimeOf = ({ userData = new Uint8Array(64), ak = azureAk, vm = VM }: Paravisor = {}) =>
  runtimeDataOf(ak, {
    'vm-configuration': { 'secure-boot': true, vmUniqueId: vm },
    'user-data': toHex(userData).toUpperCase(),
  })
function paravisor(said: Paravisor = {}): Uint8Array {
  const runtimeData = runtimeOf(said)
  const reportData = kit.runtimeDataDigest(said.over ?? runtimeData)
  const { vek } = world.vendors
  const hardwareReport = kit.makeSnpReport({ product: 'Milan', measurement, reportData, ...said.snp }, vek)
  return kit.encodeHclReport({ kind: 'snp', hardwareReport, runtimeData })
}
/** The same on Intel: a TDREPORT, of which the metadata service makes a quote over the same data. */
function tdParavisor(said: Paravisor = {}): Uint8Array {
  const runtimeData = runtimeOf(said)
  const hardwareReport = new Uint8Array(1024).fill(0x81, 0, 1)
  hardwareReport.set(kit.runtimeDataDigest(runtimeData), 128)
  return kit.encodeHclReport({ kind: 'tdx', hardwareReport, runtimeData })
}
function tdQuote(reportData: Uint8Array): Uint8Array {
  const { intel, pck } = world.vendors
  return kit.makeQuote({ authorities: intel, pck, td: { mrTd: measurement, reportData } })
}
/** Which paravisor runs, and whether it makes reports when it is asked to. */
let running: (said: Paravisor) => Uint8Array = paravisor
let answers = true

/** Time passes: the paravisor makes a report over what was written for it. */
async function paravisorWorks(): Promise<void> {
  if (!answers) return
  await leaveHclReport(guest.tpm, running({ userData: await readUserData(guest.tpm) }))
}

/** A CPU of Google's: reports on whatever the kernel is given, or on something else. */
function cpu(kind: 'snp' | 'tdx' = 'snp', snp: object = {}, over?: (data: Uint8Array) => Uint8Array): FakeTsm {
  const { vek, intel, pck } = world.vendors
  const data = (asked: Uint8Array) => over?.(asked) ?? asked
  return kind === 'snp'
    ? new FakeTsm({
        provider: 'sev_guest',
        report: (asked) => kit.makeSnpReport({ product: 'Milan', measurement, reportData: data(asked), ...snp }, vek),
        auxblob: new Uint8Array(),
      })
    : new FakeTsm({
        provider: 'tdx_guest',
        report: (asked) =>
          kit.makeQuote({ authorities: intel, pck, td: { mrTd: measurement, reportData: data(asked) } }),
      })
}
/** A kernel that has no such interface. */
function noCpu(): FakeTsm {
  const tsm = cpu()
  tsm.before = () => {
    throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
  }
  return tsm
}

function attester(cloud: 'azure' | 'gce', tsm: FakeTsm = cpu(), quotesAt = '/acc/tdquote'): PlatformAttester {
  return new PlatformAttester(optionsAt(quotesAt), { cloud, tsm, pause: paravisorWorks })
}

function optionsAt(quotesAt: string) {
  const { port } = quotes.address() as AddressInfo
  return {
    tpm: guest.tpm,
    bootLog: guest.bootLog,
    imaLog: path.join(directory, 'none'),
    ccel: path.join(directory, 'no-ccel'),
    tdQuoteService: `http://127.0.0.1:${port}${quotesAt}`,
  }
}

type Shown = evidence.PlatformEvidence
/** What is made of the evidence before it is sent. */
type Change = (shown: Shown, binding: Uint8Array) => Shown | Promise<Shown>

async function sessionOf(vtpm: PlatformAttester, change: Change = (shown) => shown, agreement = world.agreement) {
  const [owner] = agreement.body.owners
  if (owner === undefined) throw new Error('no owner')
  return new BrokerSession({
    owner,
    client: new GuestClient({ ...owner.broker, url: world.clinic.pin.url }, { timeoutMs: 20_000 }),
    agreement,
    machine: await vtpm.machine(),
    collect: async (binding) => change(await vtpm.collect(binding, launchLog), binding),
    checkpoints: await Checkpoints.open(path.join(directory, `${performance.now()}.json`)),
    signal: new AbortController().signal,
  })
}

async function refused(
  vtpm: PlatformAttester,
  change?: Change,
  agreement?: Agreement,
): Promise<{ code: string; decision: string }> {
  const session = await sessionOf(vtpm, change, agreement)
  try {
    return await session.attest().then(
      () => ({ code: 'accepted', decision: '' }),
      (error: { code: string; decision: string }) => error,
    )
  } finally {
    session.close()
  }
}

/** The record of a decision, walked again offline. */
async function replayed(decision: string) {
  const asked = world.server.requests.length
  const { record } = await world.clinic.owner.decision(decision)
  const replay = await replayRecord(record, world.clinic.pin.decisions, nodeCrypto)
  expect(replay).toMatchObject({ signed: true, reproduced: true })
  expect(world.server.requests.length).toBe(asked)
  return replay
}
const claimsIn = (token: string) => {
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return { sub: payload.sub as string, ...payload.submods.machine['vouchsafe.claims'] }
}

/** Another agreement over the same launch: what it says of the environment is judged before the launch. */
async function agreed(environment: Partial<AgreementBody['environment']>): Promise<Agreement> {
  const { body } = world.agreement
  const other = { ...body, name: `o-${Math.random()}`.slice(0, 12).replace('.', '-') }
  const { platforms: _, ...rest } = body.environment
  const agreement = parseAgreement(
    utf8(JSON.stringify({ ...other, environment: { ...rest, ...environment } })),
    nodeCrypto,
  )
  await world.clinic.owner.proposeAgreement(agreement.bytes)
  await approve(world.clinic, agreement, [world.clinic])
  return agreement
}

describe('KB-02 A18 an agent on a confidential VM of a cloud, from the vTPM’s quote to the secret', () => {
  test.each<[string, 'azure' | 'gce', () => PlatformAttester, boolean]>([
    ['SNP on Azure', 'azure', () => attester('azure'), true],
    ['SNP at Google', 'gce', () => attester('gce', cpu('snp')), false],
    ['TDX at Google', 'gce', () => attester('gce', cpu('tdx')), false],
  ])('%s: attests without enrolment, is given the secret, renews its lease', async (_what, cloud, vtpm, excluded) => {
    const session = await sessionOf(vtpm())
    const attested = await session.attest()
    const claims = claimsIn(attested.token)
    expect(claims).toMatchObject({ format: `${cloud}-vtpm`, class: 'simulated', hostExcluded: excluded })
    expect(claims.sub).toBe(await vtpm().machine())
    const { secrets, lease, decision } = await session.release(attested, ['patients/key'])
    expect(Buffer.from(secrets.get('patients/key')?.expose() ?? []).toString()).toBe('data key')
    expect((await session.renew(lease.id)).lease.id).toBe(lease.id)
    session.close()
    const { verdict, record } = await replayed(decision)
    const checks = verdict.findings.map((f) => f.check)
    for (const check of ['appraisal.cloud', 'appraisal.boot-state', 'appraisal.measurement', 'appraisal.chip'])
      expect(checks).toContain(check)
    if (record.operation !== 'release' || record.inputs.attest === null) throw new Error('no release')
    expect(await whatIf({}, nodeCrypto)(record.inputs.attest)).toMatchObject({
      before: { resources: ['clinic-a/patients/key'] },
      after: { resources: ['clinic-a/patients/key'] },
    })
  })

  test('A18 TDX on Azure: the metadata service makes the quote, and one of another TD is refused', async () => {
    running = tdParavisor
    await leaveHclReport(guest.tpm, running({}))
    try {
      const session = await sessionOf(attester('azure'))
      expect(claimsIn((await session.attest()).token)).toMatchObject({ format: 'azure-vtpm', hostExcluded: true })
      session.close()
      const other = onAzure((shown) => {
        const quote = toBase64Url(tdQuote(new Uint8Array(64).fill(9)))
        return { ...shown, endorsement: { format: 'tdx', quote } }
      })
      expect((await refused(attester('azure'), other)).code).toBe('evidence.mismatch')
      for (const [at, why] of [
        ['/down', '503'],
        ['/other', 'quote'],
      ] as const)
        await expect(attester('azure', cpu(), at).collect(new Uint8Array(32), launchLog)).rejects.toMatchObject({
          code: 'platform.no-quote',
          message: expect.stringContaining(why),
        })
    } finally {
      running = paravisor
      await leaveHclReport(guest.tpm, running({}))
    }
  })
})

const onAzure = (change: (shown: evidence.AzureVtpmEvidence, binding: Uint8Array) => Shown): Change => {
  return (shown, binding) => (shown.format === 'azure-vtpm' ? change(shown, binding) : shown)
}
/** Another report, made for this request. */
const withReport = (hcl: (userData: Uint8Array) => Uint8Array) =>
  onAzure((shown, binding) => ({ ...shown, hclReport: toBase64Url(hcl(evidence.azureUserData(binding))) }))
const another = () => attester('azure').collect(new Uint8Array(32).fill(7), launchLog)

describe('each check on Azure has a twin that is refused, with its own code in the record', () => {
  const stranger = kit.makeKey('RSA-2048')
  test.each<[string, Change, string, string]>([
    [
      'A18 D17 the report of another VM',
      withReport((userData) => paravisor({ userData, ak: stranger })),
      'evidence.signature',
      'rsassa',
    ],
    [
      'A18 D17 runtime data that name this vTPM’s key, under the CPU’s report of another VM',
      withReport((userData) => paravisor({ userData, over: runtimeOf({ userData, ak: stranger }) })),
      'evidence.mismatch',
      'does not commit to its runtime data',
    ],
    [
      'A18 the CPU of another kind beside the report',
      onAzure((shown) => ({
        ...shown,
        endorsement: { format: 'tdx', quote: toBase64Url(tdQuote(new Uint8Array(64))) },
      })),
      'evidence.mismatch',
      'of snp, shown with evidence of tdx',
    ],
    [
      'A02 A03 the quote of another request',
      async (shown) => ({ ...shown, quote: (await another()).quote }),
      'evidence.binding',
      'extraData',
    ],
    [
      'D01 a guest that the host may debug',
      withReport((userData) => paravisor({ userData, snp: { policy: 0xb_0000n } })),
      'appraisal.debug',
      '',
    ],
    [
      'D04 a report that was asked for at a lower privilege',
      withReport((userData) => paravisor({ userData, snp: { vmpl: 2 } })),
      'appraisal.privilege',
      '',
    ],
    [
      'another paravisor',
      withReport((userData) => paravisor({ userData, snp: { measurement: measurement.with(0, 0) } })),
      'appraisal.measurement',
      '',
    ],
    [
      'A02 A18 a report of this VM that was made for another request',
      withReport(() => paravisor()),
      'appraisal.cloud',
      'a report over other data',
    ],
    [
      'a VM that is not named',
      withReport((userData) => paravisor({ userData, vm: 'B-2' })),
      'appraisal.cloud',
      'VM of Azure B-2',
    ],
    ['H18 no log of the launch', (shown) => ({ ...shown, launchLog: '' }), 'evidence.log', ''],
    [
      'B05 other registers than were quoted',
      (shown) => ({ ...shown, registers: { ...shown.registers, '4': '00'.repeat(32) } }),
      'evidence.mismatch',
      'pcrDigest',
    ],
    ['bytes that are no report', withReport(() => new Uint8Array(64)), 'input.malformed', 'HCL'],
  ])('%s', async (_what, change, code, why) => {
    const { code: answered, decision } = await refused(attester('azure'), change)
    expect(answered).toBe(code)
    const { verdict } = await replayed(decision)
    expect(verdict.reasons[0]).toMatchObject({ code, actual: expect.stringContaining(why) })
  })
})

const atGoogle = (change: (shown: evidence.GceVtpmEvidence) => Shown): Change => {
  return (shown) => (shown.format === 'gce-vtpm' ? change(shown) : shown)
}
const certified = (der: () => Uint8Array) => atGoogle((shown) => ({ ...shown, akCertificate: toBase64Url(der()) }))

describe('each check at Google has a twin that is refused, with its own code in the record', () => {
  const strangers = makeGoogleRoot()
  const otherAk = kit.makeKey('P-256')
  test.each<[string, () => PlatformAttester, Change, string, string]>([
    [
      'A18 the CPU’s report of another VM',
      () =>
        attester(
          'gce',
          cpu('snp', {}, (asked) => asked.with(0, (asked[0] ?? 0) ^ 1)),
        ),
      (shown) => shown,
      'evidence.mismatch',
      'not tied to this vTPM',
    ],
    [
      'A18 a CPU’s report over the request alone',
      () => attester('gce'),
      (shown, binding) => {
        const reportData = new Uint8Array(64)
        reportData.set(binding)
        const report = kit.makeSnpReport({ product: 'Milan', measurement, reportData }, world.vendors.vek)
        return atGoogle((gce) => ({ ...gce, cpu: { format: 'snp', report: toBase64Url(report) } }))(shown, binding)
      },
      'evidence.mismatch',
      'not tied to this vTPM',
    ],
    [
      'no CPU’s report where one is asked for',
      () => attester('gce', noCpu()),
      (shown) => shown,
      'appraisal.cloud',
      'no report of a CPU',
    ],
    [
      'B04 the certificate of another vTPM',
      () => attester('gce'),
      certified(() => akCertificate(google, otherAk)),
      'evidence.signature',
      'ecdsa',
    ],
    [
      'B04 a certificate of somebody else',
      () => attester('gce'),
      certified(() => akCertificate(strangers, gceAk)),
      'endorsement.untrusted',
      '',
    ],
    [
      'B04 a certificate for another use',
      () => attester('gce'),
      certified(
        () =>
          kit.makeCertificate({
            subject: [],
            issuer: google,
            key: gceAk,
            extensions: [kit.keyUsage('keyEncipherment')],
          }).der,
      ),
      'endorsement.mismatch',
      '',
    ],
    [
      'another project',
      () => attester('gce'),
      certified(() => akCertificate(google, gceAk, 'strangers-project')),
      'appraisal.cloud',
      'project at Google strangers-project',
    ],
    [
      'A02 A03 the quote of another request',
      () => attester('gce'),
      async (shown) => ({ ...shown, quote: (await attester('gce').collect(new Uint8Array(32), launchLog)).quote }),
      'evidence.binding',
      'extraData',
    ],
    [
      'D01 a guest that the host may debug',
      () => attester('gce', cpu('snp', { policy: 0xb_0000n })),
      (shown) => shown,
      'appraisal.debug',
      '',
    ],
  ])('%s', async (_what, vtpm, change, code, why) => {
    const { code: answered, decision } = await refused(vtpm(), change)
    expect(answered).toBe(code)
    const { verdict } = await replayed(decision)
    expect(verdict.reasons[0]).toMatchObject({ code, actual: expect.stringContaining(why) })
  })
})

describe('an agreement says which clouds may speak', () => {
  test.each<[string, 'azure' | 'gce', () => Partial<AgreementBody['environment']>, string]>([
    ['none of them', 'azure', () => ({}), 'appraisal.cloud'],
    ['none of them', 'gce', () => ({}), 'appraisal.cloud'],
    ['the other one only', 'azure', () => ({ platforms: { gce: PLATFORMS.gce! } }), 'appraisal.cloud'],
    ['the other one only', 'gce', () => ({ platforms: { azure: PLATFORMS.azure! } }), 'appraisal.cloud'],
    ['D02 no simulated machine', 'azure', () => ({ platforms: PLATFORMS, leastClass: 'hardware' }), 'appraisal.class'],
    [
      'B11 no machine whose vTPM its host runs',
      'gce',
      () => ({ platforms: PLATFORMS, hostExcluded: true }),
      'appraisal.class',
    ],
  ])('%s: %s is refused', async (_what, cloud, environment, code) => {
    expect((await refused(attester(cloud), undefined, await agreed(environment()))).code).toBe(code)
  })

  test('Google’s word alone does where the agreement says so in those words, and then the class is that of its root', async () => {
    const agreement = await agreed({
      platforms: { gce: { projects: 'any-genuine', cpu: 'dangerously-not-asked-for' } },
    })
    // the launch was measured under another agreement, and that is all that stands against it
    const { code, decision } = await refused(attester('gce', noCpu()), undefined, agreement)
    expect(code).toBe('appraisal.launch-agreement')
    const { verdict } = await replayed(decision)
    expect(verdict.reasons.map((r) => r.code)).toEqual(['appraisal.launch-agreement'])
    expect(verdict.findings.map((f) => f.check)).not.toContain('appraisal.measurement')
  })
})

test('A02 where the paravisor makes no new report, an agreement has to say that an older one does', async () => {
  answers = false
  try {
    expect((await refused(attester('azure'))).code).toBe('appraisal.cloud')
    const azure: Platforms['azure'] = { vms: [VM], report: 'dangerously-of-any-boot' }
    // the launch was measured under another agreement, and that is all that stands against it
    const { code } = await refused(attester('azure'), undefined, await agreed({ platforms: { azure } }))
    expect(code).toBe('appraisal.launch-agreement')
  } finally {
    answers = true
  }
})

describe('a machine of no cloud, and another boot', () => {
  test('says what is missing', async () => {
    const plain = await startSimulatedGuest({ directory: path.join(directory, 'plain') })
    try {
      for (const cloud of ['azure', 'gce'] as const) {
        const options = { ...optionsAt('/acc/tdquote'), tpm: plain.tpm, bootLog: plain.bootLog }
        const own = new PlatformAttester(options, { cloud, tsm: cpu() })
        await expect(own.machine()).rejects.toMatchObject({ code: 'platform.missing' })
      }
    } finally {
      await plain.stop()
    }
  })

  test('B10 a lease does not outlive a reset, and D12 another boot is refused', async () => {
    const session = await sessionOf(attester('azure'))
    const { lease } = await session.release(await session.attest(), ['patients/key'])
    const before = await attester('azure').machine()
    await guest.reboot()
    {
      await using tpm = await Tpm.open(guest.tpm)
      launchLog = await measureLaunch(tpm, planLaunch(world.agreement, {}, 'runc'))
    }
    expect(await attester('azure').machine()).not.toBe(before)
    await expect(session.renew(lease.id)).rejects.toMatchObject({ code: 'release.unknown' })
    session.close()
    expect((await refused(attester('azure'))).code).toBe('accepted')
    await guest.reboot({ kernelCommandLine: 'init=/bin/sh' })
    {
      await using tpm = await Tpm.open(guest.tpm)
      launchLog = await measureLaunch(tpm, planLaunch(world.agreement, {}, 'runc'))
    }
    for (const cloud of ['azure', 'gce'] as const)
      expect((await refused(attester(cloud))).code).toBe('appraisal.boot-state')
  })
})
