import { readFileSync } from 'node:fs'
import { evidence, fromUtf8, toHex, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { UsageError } from '../../output.ts'
import { readPublicKeyFile } from '../tpm/public-file.ts'
import { parseNonce } from '../tpm/arguments.ts'
import { readCcaAnchors } from './cca-anchors.ts'
import type { Verdict, VerifyOptions } from './format.ts'
import { parseTeeNonce } from './tee-report.ts'
import {
  assertCollateralChosen,
  expectedNonce,
  type HardwareTrust,
  hardwareTrust,
  readCertificates,
} from './hardware-options.ts'

/** What was found out, and what was not. */
interface Proved {
  readonly format: string
  /** Who vouches: the anchor’s name. */
  readonly anchor: string
  readonly facts: Readonly<Record<string, string>>
  /** What was left unchecked, in words. Empty is best. */
  readonly unchecked: readonly string[]
}

const NO_FRESHNESS = 'whether it answers a request: it may be a recording'
const NO_COLLATERAL = 'collateral: revocation and the state of the platform are unknown'

/** Verifies evidence of hardware under its vendor’s roots. @throws {VouchsafeError} `evidence.*`, `endorsement.*`, `input.*` */
export async function verifyHardware(presented: evidence.PresentedEvidence, options: VerifyOptions): Promise<Verdict> {
  if (options.teeNonce !== undefined && presented.format !== 'azure-vtpm')
    throw new UsageError(`--tee-nonce means nothing for evidence of kind ${presented.format}`, 'leave it out')
  const trust = await hardwareTrust(options)
  const proved = await prove(presented, trust, options)
  const rows = Object.entries(proved.facts).map(([name, value]) => `  ${name.padEnd(14)} ${value}`)
  return {
    accepted: true,
    json: { verified: true, ...proved },
    text: [
      `authentic: ${proved.format}, vouched for by ${proved.anchor}`,
      ...rows,
      ...proved.unchecked.map((what) => `not checked: ${what}`),
      'whether that is good enough is for reference values: vouchsafe reference coverage',
    ].join('\n'),
    ...(proved.facts['machine'] !== undefined && { machine: proved.facts['machine'] }),
  }
}

function prove(presented: evidence.PresentedEvidence, trust: HardwareTrust, options: VerifyOptions): Promise<Proved> {
  switch (presented.format) {
    case 'snp':
      return proveSnp(presented, trust, options)
    case 'tdx':
      return proveTdx(presented, trust, options)
    case 'sgx':
      return proveSgx(presented, trust, options)
    case 'hcl-report':
    case 'azure-vtpm':
      return proveAzure(presented, trust, options)
    case 'cca':
      return proveCca(presented, options)
    case 'nvidia-gpu':
      return proveGpus(presented, trust, options)
    case 'tpm':
      return proveTpm(presented, options)
  }
}

type Presented<F extends evidence.PresentedEvidence['format']> = Extract<evidence.PresentedEvidence, { format: F }>

async function proveSnp(shown: Presented<'snp'>, trust: HardwareTrust, options: VerifyOptions): Promise<Proved> {
  const { vek, ...expected } = await snpEndorsement(shown, trust, options)
  const reportData = expectedNonce(options, 64)
  const verified = await evidence.verifySnpReport(
    { report: shown.report, vek },
    { ...expected, reportData },
    nodeCrypto,
  )
  return {
    format: `SEV-SNP report of a ${verified.product}`,
    anchor: verified.chain.anchor.name,
    facts: snpFacts(verified),
    unchecked: [
      ...(reportData === 'not-checked' ? [NO_FRESHNESS] : []),
      ...(expected.revocation === 'not-checked' ? ['collateral: revocation of the chip’s key is unknown'] : []),
    ],
  }
}

/** The chip’s certificate: from the command line, the guest, or the bundle, in this order. Each convinces by its chain alone. */
async function snpEndorsement(
  shown: { readonly report: Uint8Array; readonly vek?: Uint8Array },
  trust: HardwareTrust,
  options: VerifyOptions,
) {
  assertCollateralChosen(trust, options, 'revocation of the chip’s key')
  const { at, snpRoots: roots, collateral } = trust
  const [given] = (options.certificate ?? []).flatMap(readCertificates)
  const brought = given ?? shown.vek
  if (collateral === null) {
    if (brought === undefined)
      throw new UsageError('the report came without its chip’s certificate', 'give it with --certificate FILE')
    return { vek: brought, roots, revocation: 'not-checked', at } as const
  }
  if (brought === undefined) return { ...(await collateral.amd.forReport(shown.report)), roots, at }
  const { product } = evidence.readVek(x509.parseCertificate(brought))
  const list = await collateral.amd.revocationList(product)
  return { vek: brought, roots, revocation: { lists: [list], require: 'authorities' }, at } as const
}

function snpFacts({ report, chip, tcb, chain }: evidence.VerifiedSnpEvidence): Readonly<Record<string, string>> {
  return {
    measurement: toHex(report.measurement),
    chip: chip.kind === 'known' ? chip.id : 'hidden by the host',
    firmware: evidence.formatTcb(tcb.reported),
    debug: report.policy.debugAllowed ? 'THE HOST MAY READ ITS MEMORY' : 'excluded',
    'report data': toHex(report.reportData),
    'valid until': chain.validUntil.toISOString(),
  }
}

async function proveTdx(shown: Presented<'tdx'>, trust: HardwareTrust, options: VerifyOptions): Promise<Proved> {
  const reportData = expectedNonce(options, 64)
  const eventLog = options.eventLog === undefined ? shown.eventLog : new Uint8Array(readFileSync(options.eventLog))
  const unexplainedRtmrs = rtmrs(options.unexplained)
  const verified = await evidence.verifyTdxQuote(
    { quote: shown.quote, ...(eventLog && { eventLog }) },
    { ...(await intelTrust(shown.quote, trust, options)), reportData, unexplainedRtmrs },
    nodeCrypto,
  )
  return {
    format: `TDX quote, version ${verified.quote.version}`,
    anchor: verified.chain.anchor.name,
    facts: tdxFacts(verified),
    unchecked: [
      ...(reportData === 'not-checked' ? [NO_FRESHNESS] : []),
      ...(verified.rating === 'not-checked' ? [NO_COLLATERAL] : []),
      ...(verified.eventLog === 'none' ? ['the boot: no event log was given with --event-log'] : []),
    ],
  }
}

function tdxFacts({ report, rating, pck, validUntil }: evidence.VerifiedTdxEvidence): Readonly<Record<string, string>> {
  return {
    mrtd: toHex(report.mrTd),
    ...Object.fromEntries(report.rtmrs.map((value, n) => [`rtmr${n}`, toHex(value)])),
    platform: `FMSPC ${pck.fmspc}, PPID ${pck.ppid}`,
    ...ratingFacts(rating),
    debug: report.attributes.debug ? 'THE HOST MAY READ AND CHANGE IT' : 'excluded',
    'report data': toHex(report.reportData),
    'valid until': validUntil.toISOString(),
  }
}

function ratingFacts(
  rating: evidence.VerifiedTdxEvidence['rating'] | evidence.VerifiedSgxEvidence['rating'],
): Readonly<Record<string, string>> {
  if (rating === 'not-checked') return {}
  const advisories = rating.advisories.length === 0 ? 'no advisory' : rating.advisories.join(', ')
  return { tcb: `${rating.status}, ${advisories}, evaluation ${rating.evaluationNumber}` }
}

async function intelTrust(quote: Uint8Array, trust: HardwareTrust, options: VerifyOptions) {
  assertCollateralChosen(trust, options, 'the platform')
  const anchors = trust.anchors.length === 0 ? [evidence.intelSgxRoot()] : trust.anchors
  const collateral = trust.collateral === null ? 'not-checked' : await trust.collateral.intel.forQuote(quote)
  return { anchors, collateral, at: trust.at } as const
}

async function proveSgx(shown: Presented<'sgx'>, trust: HardwareTrust, options: VerifyOptions): Promise<Proved> {
  const reportData = expectedNonce(options, 64)
  const expected = { ...(await intelTrust(shown.quote, trust, options)), reportData }
  const verified = await evidence.verifySgxQuote({ quote: shown.quote }, expected, nodeCrypto)
  const { report, rating, pck, validUntil } = verified
  return {
    format: 'SGX quote, version 3',
    anchor: verified.chain.anchor.name,
    facts: {
      mrenclave: toHex(report.mrEnclave),
      mrsigner: `${toHex(report.mrSigner)} product ${report.isvProdId} version ${report.isvSvn}`,
      platform: `FMSPC ${pck.fmspc}, PPID ${pck.ppid}`,
      ...ratingFacts(rating),
      debug: report.debug ? 'THE HOST MAY READ AND CHANGE IT' : 'excluded',
      'report data': toHex(report.reportData),
      'valid until': validUntil.toISOString(),
    },
    unchecked: [
      ...(reportData === 'not-checked' ? [NO_FRESHNESS] : []),
      ...(rating === 'not-checked' ? [NO_COLLATERAL] : []),
    ],
  }
}

async function proveAzure(
  shown: Presented<'azure-vtpm'> | Presented<'hcl-report'>,
  trust: HardwareTrust,
  options: VerifyOptions,
): Promise<Proved> {
  if (shown.format === 'hcl-report') return proveHclReport(shown, trust, options)
  const nonce = vtpmNonce(options)
  const expected = await azureTrust(shown, trust, options)
  const userData = options.teeNonce === undefined ? 'not-checked' : parseTeeNonce(options.teeNonce)
  const verified = await evidence.verifyAzureVtpm(shown, { ...expected, nonce, userData }, nodeCrypto)
  return {
    ...azureProof(verified, 'Azure vTPM quote'),
    unchecked: [...uncheckedOf(verified.hardware), 'the boot: Azure’s vTPM was quoted without its event log'],
  }
}

/** Without a quote the guest answers by the paravisor's user data, or not at all. */
async function proveHclReport(
  shown: Presented<'hcl-report'>,
  trust: HardwareTrust,
  options: VerifyOptions,
): Promise<Proved> {
  const hcl = evidence.parseHclReport(shown.hclReport)
  if (hcl.kind === 'tdx')
    throw new VouchsafeError(
      'evidence.unsupported',
      'a paravisor’s report over a TDREPORT: only its own platform can check that; show the message with the TD quote',
    )
  const [vek] = (options.certificate ?? []).flatMap(readCertificates)
  if (vek === undefined)
    throw new UsageError('the report came without its chip’s certificate', 'give it with --certificate FILE')
  const whole = { hclReport: shown.hclReport, hardware: { kind: 'snp', vek } } as const
  const userData = expectedNonce(options, 64)
  const expected = await azureTrust(whole, trust, options)
  const verified = await evidence.verifyHclReport(whole, { ...expected, userData }, nodeCrypto)
  return {
    ...azureProof(verified, 'Azure paravisor’s report'),
    unchecked: [
      ...(userData === 'not-checked' ? [NO_FRESHNESS] : []),
      ...uncheckedOf(verified.hardware),
      'the boot: there is no quote of the vTPM',
    ],
  }
}

async function azureTrust(
  { hclReport, hardware }: evidence.HclEvidence,
  trust: HardwareTrust,
  options: VerifyOptions,
): Promise<Pick<evidence.AzureExpectation, 'snp' | 'tdx'>> {
  if (hardware.kind === 'tdx') return { tdx: await intelTrust(hardware.quote, trust, options) }
  const { hardwareReport: report } = evidence.parseHclReport(hclReport)
  const { vek: _, ...snp } = await snpEndorsement({ report, vek: hardware.vek }, trust, options)
  return { snp }
}

function azureProof({ hardware, runtime }: evidence.HclFacts, format: string): Omit<Proved, 'unchecked'> {
  const { vm } = runtime
  return {
    format: `${format} on ${hardware.format === 'snp' ? `SEV-SNP (${hardware.product})` : 'TDX'}`,
    anchor: hardware.chain.anchor.name,
    facts: {
      ...(hardware.format === 'snp' ? snpFacts(hardware) : tdxFacts(hardware)),
      ...(vm.uniqueId !== undefined && { machine: vm.uniqueId }),
      ...(vm.secureBoot !== undefined && { 'secure boot': vm.secureBoot ? 'on' : 'off' }),
    },
  }
}

function uncheckedOf(hardware: evidence.HclFacts['hardware']): readonly string[] {
  const judged = hardware.format === 'snp' ? hardware.chain.revocation : hardware.rating
  return judged === 'not-checked' ? [NO_COLLATERAL] : []
}

async function proveCca(shown: Presented<'cca'>, options: VerifyOptions): Promise<Proved> {
  if (options.trustAnchors === undefined)
    throw new UsageError('whose hardware is this?', 'name the keys that you trust with --trust-anchors FILE')
  const challenge = expectedNonce(options, 64)
  const anchors = readCcaAnchors(options.trustAnchors)
  const { anchor, platform, realm } = await evidence.verifyCcaToken(shown.token, { challenge, anchors }, nodeCrypto)
  return {
    format: 'Arm CCA token',
    anchor: anchor.name,
    facts: {
      initial: toHex(realm.initialMeasurement),
      lifecycle: platform.lifecycle,
      machine: platform.instanceId,
      challenge: toHex(realm.challenge),
    },
    unchecked: [
      ...(challenge === 'not-checked' ? [NO_FRESHNESS] : []),
      'revocation: Arm publishes no lists; the firmware’s components are for reference values',
    ],
  }
}

async function proveGpus(
  shown: Presented<'nvidia-gpu'>,
  trust: HardwareTrust,
  options: VerifyOptions,
): Promise<Proved> {
  const nonce = expectedNonce(options, 32)
  if (options.collateral !== undefined)
    throw new UsageError(
      'NVIDIA’s collateral is not in bundles',
      'leave --collateral out, and say --without-collateral',
    )
  assertCollateralChosen(trust, options, 'revocation of the device’s key')
  const certificates = (options.certificate ?? []).map((file) =>
    evidence.readGpuChain(fromUtf8(new Uint8Array(readFileSync(file)), file)),
  )
  const devices = shown.devices.map((device, i) =>
    device.chain.length > 0 ? device : { ...device, chain: certificates[i] ?? [] },
  )
  const anchors = trust.anchors.length === 0 ? [evidence.nvidiaDeviceRoot()] : trust.anchors
  const verified = await evidence.verifyGpus(
    devices,
    { nonce, anchors, revocation: 'not-checked', at: trust.at, count: devices.length },
    nodeCrypto,
  )
  const [first] = verified
  return {
    format: `${devices.length} NVIDIA GPU report${devices.length === 1 ? '' : 's'}`,
    anchor: first?.chain.anchor.name ?? '',
    facts: Object.fromEntries(
      verified.flatMap(({ device, report }, i) => [
        [`device ${i + 1}`, device],
        [`versions ${i + 1}`, `driver ${report.driverVersion}, VBIOS ${report.vbiosVersion}`],
      ]),
    ),
    unchecked: [
      ...(nonce === 'not-checked' ? [NO_FRESHNESS] : []),
      'collateral: revocation of the device’s key, and NVIDIA’s manifests',
    ],
  }
}

/** Trustee’s message of a bare TPM: nothing in it ties the key to a TPM, so its owner has to know the key. */
async function proveTpm(shown: Presented<'tpm'>, options: VerifyOptions): Promise<Proved> {
  const { trustKey = [] } = options
  const known = trustKey.find((file) => Buffer.compare(readPublicKeyFile(file), shown.akSpki) === 0)
  if (known === undefined)
    throw trustKey.length === 0
      ? new UsageError('whose key is this?', 'name the attestation key you know with --trust-key FILE')
      : new VouchsafeError('evidence.key', `it is signed with a key that is not in ${trustKey.join(', ')}`)
  const { quote } = await evidence.verifyVtpmQuote(shown, shown.akSpki, { nonce: vtpmNonce(options) }, nodeCrypto)
  return {
    format: 'TPM quote',
    anchor: `the key in ${known}`,
    facts: Object.fromEntries(Array.from(quote.registers.values, ([n, value]) => [`PCR ${n}`, toHex(value)])),
    unchecked: ['the boot: there is no event log'],
  }
}

/** A TPM carries any nonce of up to 64 bytes, and always one. */
function vtpmNonce(options: VerifyOptions): Uint8Array {
  if (options.withoutNonce === true)
    throw new UsageError('a vTPM’s quote without its nonce proves nothing', 'give it with --nonce HEX')
  if (options.nonce === undefined)
    throw new UsageError('against which nonce?', 'give the one that you asked the machine to sign with --nonce HEX')
  return parseNonce(options.nonce)
}

function rtmrs(text: string | undefined): readonly (0 | 1 | 2 | 3)[] {
  if (text === undefined) return []
  return text.split(',').map((n) => {
    const register = ([0, 1, 2, 3] as const).find((known) => String(known) === n.trim())
    if (register === undefined) throw new UsageError(`--unexplained ${text}`, 'name RTMRs: 0 to 3, such as 2,3')
    return register
  })
}
