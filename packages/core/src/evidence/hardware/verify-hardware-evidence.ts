import { type Launch, parseCel, readLaunch } from '@vouchsafe/tpm/eventlog'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64, fromBase64Url, toBase64Url } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { transcript } from '../../base/transcript.ts'
import { type Anchor, parseCertificate, parseRevocationList } from '../../x509/index.ts'
import { type DcapCollateralInput, verifyDcapCollateral } from '../dcap/collateral.ts'
import { parseDcapQuote } from '../dcap/parse-quote.ts'
import { type Pck, readPckChain } from '../dcap/pck.ts'
import { parseSnpReport, type SnpReport } from '../snp/parse-report.ts'
import { amdSnpRoots } from '../snp/roots.ts'
import { type SnpExpectation, type VerifiedSnpEvidence, verifySnpReport } from '../snp/verify-report.ts'
import { snpRootsOf } from '../snp/verify-vek.ts'
import { type TdxExpectation, type VerifiedTdxEvidence, verifyTdxQuote } from '../tdx/verify-tdx-quote.ts'
import { SIMULATOR_OID } from '../tpm/enrolment.ts'
import { translated } from '../tpm/translate.ts'
import { markVerified, type Verified } from '../verified.ts'
import type { HardwareCollateral, HardwareEvidence } from './hardware-evidence.ts'
import { hardwareReportData } from './report-data.ts'

/** What is known once a CPU's report, its endorsement and the launch that it commits to agree. */
export interface HardwareFacts {
  /** Names this guest on its chip: from launch to end on SNP, the platform on TDX, which names no guest. */
  readonly machine: string
  readonly anchor: Anchor
  readonly hardware: VerifiedSnpEvidence | VerifiedTdxEvidence
  /** Stated by the agent, which the measurement covers, and committed to by the report. */
  readonly launch: Launch
}
export type VerifiedHardwareEvidence = Verified<HardwareFacts>

export interface HardwareTrust {
  readonly anchors: readonly Anchor[]
  /** Null where none could be had: then nothing is accepted (D11). */
  readonly collateral: HardwareCollateral | null
  /** 32 bytes from `evidenceBinding`. */
  readonly binding: Uint8Array
  readonly at: Date
}

/**
 * Verifies the report of a CPU: genuine, endorsed, not revoked, made for this very request and this very launch.
 * Whether the platform and the measurement are good enough is for the appraisal to say.
 *
 * @throws {VouchsafeError} `evidence.*`, `endorsement.*`, `input.malformed`
 */
export async function verifyHardwareEvidence(
  evidence: HardwareEvidence,
  trust: HardwareTrust,
  crypto: CryptoPort,
): Promise<VerifiedHardwareEvidence> {
  const launchLog = fromBase64Url(evidence.launchLog, 'launchLog')
  const reportData = hardwareReportData(trust.binding, launchLog, crypto)
  const at = { ...trust, anchors: hardwareAnchors(trust.anchors), reportData }
  const hardware =
    evidence.format === 'snp' ? await verifySnp(evidence, at, crypto) : await verifyTdx(evidence, at, crypto)
  const { anchor } = hardware.chain
  assertHonestClass(anchor)
  const launch = await translated(async () => readLaunch(parseCel(launchLog), 'sha256', crypto))
  return markVerified({ machine: hardwareMachine(hardware, crypto), anchor, hardware, launch })
}

/** Makers of TPMs vouch for no CPU, whatever their certificates may say. */
export function hardwareAnchors(anchors: readonly Anchor[]): readonly Anchor[] {
  return anchors.filter(({ class: assurance }) => assurance === 'hardware' || assurance === 'simulated')
}

/** @throws {VouchsafeError} `endorsement.untrusted` for a simulator's anchor under another class (decision 9) */
export function assertHonestClass(anchor: Anchor): void {
  if (anchor.class !== 'simulated' && anchor.certificate.extensions.has(SIMULATOR_OID))
    throw new VouchsafeError(
      'endorsement.untrusted',
      `anchor ${anchor.name} is a simulator’s, and cannot have the class ${anchor.class}`,
    )
}

type Expected = HardwareTrust & { readonly reportData: Uint8Array }

async function verifySnp(
  evidence: Extract<HardwareEvidence, { format: 'snp' }>,
  { reportData, ...trust }: Expected,
  crypto: CryptoPort,
): Promise<VerifiedSnpEvidence> {
  const report = fromBase64Url(evidence.report, 'report')
  parseSnpReport(report) // what is no report is told as such, whatever its maker says
  const { vek, ...expected } = snpTrust(evidence.vek, trust)
  return verifySnpReport({ report, vek }, { ...expected, reportData }, crypto)
}

/**
 * What AMD's collateral lets one trust in, and the certificate of the chip's key.
 *
 * @param fromGuest - That certificate, where the guest brought it.
 * @throws {VouchsafeError} `endorsement.unavailable`
 */
export function snpTrust(
  fromGuest: string | undefined,
  { anchors, collateral, at }: Omit<HardwareTrust, 'binding'>,
): Omit<SnpExpectation, 'reportData'> & { readonly vek: Uint8Array } {
  const amd = needed('amd', collateral)
  const vek = vekOf(fromGuest, amd.vek)
  const intermediates = [
    ...amd.intermediates.map((der) => parseCertificate(fromBase64(der, 'intermediates'))),
    ...amdSnpRoots().flatMap((root) => root.intermediates),
  ]
  const lists = amd.revocationLists.map((der) => parseRevocationList(fromBase64(der, 'revocationLists')))
  return { vek, roots: snpRootsOf(anchors, intermediates), revocation: { lists, require: 'authorities' }, at }
}

/** The guest's own first: a provider's key comes no other way. */
function vekOf(fromGuest: string | undefined, fromVendor: string | null): Uint8Array {
  if (fromGuest !== undefined) return fromBase64Url(fromGuest, 'evidence.vek')
  if (fromVendor !== null) return fromBase64(fromVendor, 'collateral.vek')
  throw new VouchsafeError('endorsement.unavailable', 'SNP report: there is no certificate of the chip’s key')
}

/** The running system's own: no log of the boot tells what it measures. */
export const RUNTIME = 3

async function verifyTdx(
  evidence: Extract<HardwareEvidence, { format: 'tdx' }>,
  { reportData, ...trust }: Expected,
  crypto: CryptoPort,
): Promise<VerifiedTdxEvidence> {
  const quote = fromBase64Url(evidence.quote, 'quote')
  parseDcapQuote(quote)
  return verifyTdxQuote(
    { quote, ...(evidence.bootLog !== undefined && { eventLog: fromBase64Url(evidence.bootLog, 'bootLog') }) },
    { ...(await tdxTrust(trust, crypto)), reportData, unexplainedRtmrs: [RUNTIME] },
    crypto,
  )
}

/** What Intel's collateral lets one trust in. @throws {VouchsafeError} `endorsement.*` */
export async function tdxTrust(
  { anchors, collateral, at }: Omit<HardwareTrust, 'binding'>,
  crypto: CryptoPort,
): Promise<Omit<TdxExpectation, 'reportData' | 'unexplainedRtmrs'>> {
  const intel = needed('intel', collateral)
  const document = ({ body, signature, issuerChain }: typeof intel.tcbInfo) => ({
    body: fromBase64(body, 'collateral.body'),
    signature: fromBase64(signature, 'collateral.signature'),
    issuerChain,
  })
  const input: DcapCollateralInput = {
    tcbInfo: document(intel.tcbInfo),
    qeIdentity: document(intel.qeIdentity),
    pckCrl: fromBase64(intel.pckCrl, 'pckCrl'),
    rootCrl: fromBase64(intel.rootCrl, 'rootCrl'),
  }
  return { anchors, collateral: await verifyDcapCollateral(input, { anchors, at }, crypto), at }
}

function needed<V extends HardwareCollateral['vendor']>(
  vendor: V,
  collateral: HardwareCollateral | null,
): Extract<HardwareCollateral, { vendor: V }> {
  if (collateral?.vendor !== vendor)
    throw new VouchsafeError('endorsement.unavailable', `no collateral of ${vendor} could be had for this evidence`)
  return collateral as Extract<HardwareCollateral, { vendor: V }>
}

/** A guest on SNP has a name of its own until it ends; a TD has none, so its platform's has to do. */
export function hardwareMachine(hardware: HardwareFacts['hardware'], crypto: CryptoPort): string {
  return hardware.format === 'snp' ? snpMachine(hardware.report, crypto) : tdxMachine(hardware.pck, crypto)
}

function snpMachine({ chipId, reportId }: SnpReport, crypto: CryptoPort): string {
  return `snp:${toBase64Url(transcript('vouchsafe/machine-snp/v1', [chipId, reportId], crypto))}`
}

function tdxMachine({ ppid, platformInstanceId = '' }: Pck, crypto: CryptoPort): string {
  return `tdx:${toBase64Url(transcript('vouchsafe/machine-tdx/v1', [ppid, platformInstanceId], crypto))}`
}

/** The name that a broker will know this guest by, for the guest itself. Nothing is verified. @throws {VouchsafeError} */
export async function hardwareMachineId(
  shown:
    | Pick<Extract<HardwareEvidence, { format: 'snp' }>, 'format' | 'report'>
    | Pick<Extract<HardwareEvidence, { format: 'tdx' }>, 'format' | 'quote'>,
  crypto: CryptoPort,
): Promise<string> {
  if (shown.format === 'snp') return snpMachine(parseSnpReport(fromBase64Url(shown.report, 'report')), crypto)
  const { pckChain } = parseDcapQuote(fromBase64Url(shown.quote, 'quote'))
  return tdxMachine((await readPckChain(pckChain)).pck, crypto)
}
