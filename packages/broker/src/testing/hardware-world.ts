import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PrincipalKey } from '@vouchsafe/client'
import {
  type Agreement,
  type AgreementBody,
  evidence,
  evidenceBinding,
  jwkThumbprint,
  type LaunchClaims,
  parseAgreement,
  SIMULATOR_OID,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  x509,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as kit from '@vouchsafe/testkit'
import { launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import { newP256 } from 'vouchsafe/attack/raw-guest'
import { initBroker } from '../init.ts'
import { agreementOf, approve, launchOf, startClinic, stopClinic, type TestClinic } from './two-clinics.ts'

const MARK = [{ oid: SIMULATOR_OID, value: Uint8Array.of(5, 0) }]
export const MEASUREMENT = 'ab'.repeat(48)
const measurement = Uint8Array.from(Buffer.from(MEASUREMENT, 'hex'))
const floor = kit.defaultTcb('Milan')

/** AMD and Intel of our own making, marked as a simulator's. */
export function makeVendors() {
  const amd = kit.makeAmdAuthorities('Milan', MARK)
  const intel = kit.makeIntelAuthorities(MARK)
  return {
    amd,
    intel,
    vek: kit.makeVek({ authorities: amd, serial: 77 }),
    pck: kit.makePck({ authorities: intel, serial: 78 }),
  }
}
export type Vendors = ReturnType<typeof makeVendors>

export const anchorsOfVendors = ({ amd, intel }: Vendors) => [
  { name: 'simulated ARK', class: 'simulated' as const, certificate: toBase64(amd.ark.der) },
  { name: 'simulated Intel', class: 'simulated' as const, certificate: toBase64(intel.root.der) },
]

/** What the vendors' services answer now. */
export interface Published {
  readonly revoked?: readonly ('vek' | 'pck')[]
  readonly tcbStatus?: string
  readonly advisories?: readonly string[]
}

export function answersOf({ amd, intel, vek }: Vendors, { revoked = [], tcbStatus, advisories }: Published = {}) {
  const now = Date.now()
  const [issueDate, nextUpdate] = [new Date(now - 86_400_000), new Date(now + 20 * 86_400_000)]
  const tcb = (hwid = kit.testHwid('Milan')) =>
    `/vcek/v1/Milan/${toHex(hwid)}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219`
  const c = kit.makeIntelCollateral({
    authorities: intel,
    issueDate,
    nextUpdate,
    revokedPcks: revoked.includes('pck') ? [78] : [],
    ...(tcbStatus !== undefined && { tcbInfo: levelOf(tcbStatus, advisories ?? []) }),
  })
  const chain = encodeURIComponent(c.issuerChain)
  const crl = kit.makeRevocationList({
    issuer: amd.ark,
    signature: 'pss-sha384',
    thisUpdate: issueDate,
    nextUpdate,
    revoked: [],
  })
  const askList = kit.makeRevocationList({
    issuer: amd.ark,
    signature: 'pss-sha384',
    thisUpdate: issueDate,
    nextUpdate,
    revoked: [BigInt(`0x${x509.parseCertificate(amd.ask.der).serial}`)],
  })
  const answers: Readonly<Record<string, kit.Answer>> = {
    [tcb()]: { body: vek.der },
    '/vcek/v1/Milan/crl': { body: revoked.includes('vek') ? askList : crl },
    [`/tdx/certification/v4/tcb?fmspc=${kit.TEST_FMSPC}`]: {
      body: c.tcbInfo,
      headers: { 'TCB-Info-Issuer-Chain': chain },
    },
    '/tdx/certification/v4/qe/identity': {
      body: c.qeIdentity,
      headers: { 'SGX-Enclave-Identity-Issuer-Chain': chain },
    },
    '/sgx/certification/v4/pckcrl?ca=platform&encoding=der': { body: c.pckCrl },
    '/root.der': { body: c.rootCrl },
  }
  return (asked: string) => answers[asked]
}

/** One level that fits every platform, rated so. */
function levelOf(tcbStatus: string, advisoryIDs: readonly string[]) {
  const zeros = Array.from({ length: 16 }, () => ({ svn: 0 }))
  return {
    tcbLevels: [
      {
        tcb: { sgxtcbcomponents: zeros, pcesvn: 0, tdxtcbcomponents: zeros },
        tcbDate: '2025-01-01T00:00:00Z',
        tcbStatus,
        advisoryIDs,
      },
    ],
  }
}

/** What owners accept, unless a test says otherwise. */
export const TERMS: NonNullable<AgreementBody['environment']['hardware']> = parseTerms()

function parseTerms() {
  return {
    chips: 'any-genuine' as const,
    snp: {
      measurements: [MEASUREMENT],
      minimumTcb: {
        Milan: { bootloader: floor.bootloader, tee: floor.tee, snp: floor.snp, microcode: floor.microcode },
      },
      allow: { smt: true },
    },
    tdx: {
      mrTd: [MEASUREMENT],
      rtmr0: ['00'.repeat(48)],
      rtmr1: ['00'.repeat(48)],
      rtmr2: ['00'.repeat(48)],
      rtmr3: ['00'.repeat(48)],
    },
  } as unknown as NonNullable<AgreementBody['environment']['hardware']>
}

export interface HardwareWorld {
  readonly clinic: TestClinic
  readonly vendors: Vendors
  readonly server: kit.FaultyServer
  readonly agreement: Agreement
  readonly stop: () => Promise<void>
}

/** One clinic whose broker takes evidence of CPUs, over TLS; the vendors' services are on this machine. */
export async function startHardwareWorld(
  terms: AgreementBody['environment']['hardware'] = TERMS,
  published: Published = {},
  more: Partial<AgreementBody['environment']> = {},
  changes: Partial<AgreementBody> = {},
  anchors: ReturnType<typeof anchorsOfVendors> = [],
): Promise<HardwareWorld> {
  const directory = mkdtempSync(path.join(tmpdir(), 'vs-hardware-'))
  const vendors = makeVendors()
  const server = await kit.startFaultyServer(answersOf(vendors, published))
  const key = PrincipalKey.generate()
  const id = 'clinic-a'
  const { config } = await initBroker(
    {
      directory: path.join(directory, id),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [{ id, owner: id, ownerKey: key.key, anchors: [...anchorsOfVendors(vendors), ...anchors] }],
    },
    new Date(),
  )
  const intermediates = path.join(directory, 'intermediates.pem')
  writeFileSync(intermediates, kit.toPem(vendors.amd.ask, vendors.amd.asvk))
  const configured = {
    ...(JSON.parse(readFileSync(config, 'utf8')) as object),
    collateral: {
      folder: path.join(directory, 'collateral'),
      amdUrl: server.url,
      intelUrl: server.url,
      intelRootCrlUrl: `${server.url}/root.der`,
      intermediates: [intermediates],
    },
  }
  writeFileSync(config, JSON.stringify(configured))
  const clinic = await startClinic(id, key, config, [])
  const body = agreementOf([clinic], {})
  const hardware = terms === undefined ? {} : { hardware: terms }
  const environment = { ...body.environment, hostExcluded: true, ...hardware, ...more }
  const agreement = parseAgreement(utf8(JSON.stringify({ ...body, environment, ...changes })), nodeCrypto)
  await clinic.owner.putResource('patients/key', utf8('data key'), 0)
  await clinic.owner.proposeAgreement(agreement.bytes)
  await approve(clinic, agreement, [clinic])
  return {
    clinic,
    vendors,
    server,
    agreement,
    stop: async () => {
      await stopClinic(clinic)
      await server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** What a guest shows, and how it may be wrong. */
export interface Showing {
  readonly snp?: Partial<kit.SnpReportSpec>
  readonly td?: kit.TdReportSpec
  /** In place of what the request calls for. */
  readonly reportData?: Uint8Array
  readonly launch?: Partial<LaunchClaims>
  /** The launch that is sent, where the report commits to another. */
  readonly sentLaunch?: Partial<LaunchClaims>
  /** The chip's certificate, brought along. */
  readonly vek?: kit.TestCertificate
  /** The boot log that a TD sends along. */
  readonly bootLog?: Uint8Array
  /** Other hardware than the world's. */
  readonly vendors?: Vendors
}

/** Attests by a CPU, step by step, so that each can be done wrong. */
export async function attestByHardware(world: HardwareWorld, format: 'snp' | 'tdx', showing: Showing = {}) {
  const { clinic, agreement } = world
  const session = toBase64Url(randomBytes(16))
  const nonce = await clinic.guest.nonce('attest', session)
  const [sealKey, proofKey] = [newP256(), newP256()]
  const binding = evidenceBinding(
    {
      role: 'attester',
      brokerId: clinic.pin.id,
      tenant: clinic.pin.tenant,
      session,
      nonce,
      agreement: agreement.digest,
      sealKey: jwkThumbprint(sealKey.jwk, nodeCrypto),
      proofKey: jwkThumbprint(proofKey.jwk, nodeCrypto),
    },
    nodeCrypto,
  )
  const logOf = (launch: Partial<LaunchClaims> = {}) =>
    writeCel(
      launchEvents({ ...launchOf(agreement), ...launch }).map((event) =>
        launchRecord(event, 'pcr', ['sha256'], nodeCrypto),
      ),
    )
  const launchLog = logOf(showing.launch)
  const reportData = showing.reportData ?? evidence.hardwareReportData(binding, launchLog, nodeCrypto)
  const shown = showOn(showing.vendors ?? world.vendors, format, reportData, showing)
  const body = {
    session,
    nonce,
    machine: null,
    agreement: agreement.digest,
    sealKey: sealKey.jwk,
    proofKey: proofKey.jwk,
    evidence: { ...shown, launchLog: toBase64Url(logOf(showing.sentLaunch ?? showing.launch)) },
    kept: null,
    carried: [],
  }
  const answer = await clinic.guest.attest(body)
  return { session, sealKey, proofKey, body, token: answer.token, id: answer.id, answer }
}

function showOn({ vek, intel, pck }: Vendors, format: 'snp' | 'tdx', reportData: Uint8Array, showing: Showing) {
  if (format === 'tdx') {
    const td = { mrTd: measurement, reportData, ...showing.td }
    const bootLog = showing.bootLog === undefined ? {} : { bootLog: toBase64Url(showing.bootLog) }
    return { format, quote: toBase64Url(kit.makeQuote({ authorities: intel, pck, td })), ...bootLog } as const
  }
  const signer = showing.vek ?? vek
  const report = kit.makeSnpReport({ product: 'Milan', measurement, reportData, ...showing.snp }, signer)
  const certificate = showing.vek === undefined ? {} : { vek: toBase64Url(showing.vek.der) }
  return { format, report: toBase64Url(report), ...certificate } as const
}
