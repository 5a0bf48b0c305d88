import { parseTpmQuote } from '@vouchsafe/tpm/codec'
import type { VerifiedTpmQuote } from '@vouchsafe/tpm/verify'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64Url, fromHex, toBase64Url } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { transcript } from '../../base/transcript.ts'
import { type Anchor, parseCertificate, readEkCertificate } from '../../x509/index.ts'
import { parseHclReport } from '../azure-vtpm/parse-hcl-report.ts'
import { type HclRuntimeData, parseRuntimeData } from '../azure-vtpm/runtime-data.ts'
import { type AzureExpectation, verifyAzureVtpm } from '../azure-vtpm/verify-azure-vtpm.ts'
import type { GceInstance } from '../gce-vtpm/instance.ts'
import { type GceEvidence, type GceExpectation, verifyGceVtpm } from '../gce-vtpm/verify-gce-vtpm.ts'
import {
  assertHonestClass,
  hardwareAnchors,
  type HardwareFacts,
  type HardwareTrust,
  RUNTIME,
  snpTrust,
  tdxTrust,
} from '../hardware/verify-hardware-evidence.ts'
import { type ExplainedBoot, explainRegisters } from '../tpm/explain-registers.ts'
import { SIMULATOR_OID } from '../tpm/enrolment.ts'
import { translated } from '../tpm/translate.ts'
import { markVerified, type Verified } from '../verified.ts'
import type { VtpmEvidence } from '../vtpm-quote.ts'
import type { AzureVtpmEvidence, GceVtpmEvidence, PlatformEvidence } from './platform-evidence.ts'

/** Who a cloud's vTPM belongs to, in the cloud's words. */
export type PlatformIdentity =
  | {
      readonly cloud: 'azure'
      readonly runtime: HclRuntimeData
      /** Whether the paravisor made its report for this very request; otherwise it is of this boot or of an earlier one. */
      readonly fresh: boolean
    }
  /** Null where Google's certificate names no production instance. */
  | { readonly cloud: 'gce'; readonly instance: GceInstance | null }

/** What is known once quote, vTPM key, CPU report and logs agree. */
export interface PlatformFacts extends ExplainedBoot {
  /** This vTPM since its last reset: another boot is another machine, so no lease outlives one. */
  readonly machine: string
  /** What it all rests on; the class of the evidence is that of the weakest. */
  readonly anchors: readonly [Anchor, ...Anchor[]]
  readonly platform: PlatformIdentity
  /** The CPU that signed which vTPM it belongs to; null where none did. */
  readonly cpu: HardwareFacts['hardware'] | null
  readonly quote: VerifiedTpmQuote
  /** SHA-256 bank, 24 values by number. */
  readonly registers: ReadonlyMap<number, Uint8Array>
}
export type VerifiedPlatformEvidence = Verified<PlatformFacts>

/**
 * Verifies what a cloud's vTPM shows: the quote commits to this request, its key is vouched for, the CPU's report belongs
 * to that very key by signature (A18), and the logs replay to the quoted registers. On Azure the CPU commits to the key, so
 * all rests on the CPU's maker; on Google's machines the vTPM is Google's, and the CPU's report commits to request and key.
 *
 * @throws {VouchsafeError} `evidence.*`, `endorsement.*`, `input.malformed`
 */
export async function verifyPlatformEvidence(
  evidence: PlatformEvidence,
  trust: HardwareTrust,
  crypto: CryptoPort,
): Promise<VerifiedPlatformEvidence> {
  const { quote, ...rest } =
    evidence.format === 'azure-vtpm'
      ? await verifyAzure(evidence, trust, crypto)
      : await verifyGce(evidence, trust, crypto)
  const registers = quote.registers.values
  const boot = await translated(async () => explainRegisters(evidence, registers, crypto))
  const machine = machineOf(evidence.format, quote.akSpki, quote, crypto)
  return markVerified({ ...rest, machine, quote, registers, ...boot })
}

type Proved = Pick<PlatformFacts, 'anchors' | 'platform' | 'cpu' | 'quote'>

async function verifyAzure(evidence: AzureVtpmEvidence, trust: HardwareTrust, crypto: CryptoPort): Promise<Proved> {
  const { endorsement } = evidence
  const own = { ...trust, anchors: hardwareAnchors(trust.anchors) }
  const shown = { ...quoted(evidence), hclReport: fromBase64Url(evidence.hclReport, 'hclReport') }
  parseHclReport(shown.hclReport) // what is no report is told as such, whatever a maker says
  // whether the report is as new as the quote is for the agreement to ask: paravisors of before 2024 make one a boot
  const common = { nonce: trust.binding, userData: 'not-checked' } as const
  const { hardware, runtime, quote } = await (endorsement.format === 'snp'
    ? verifySnpOnAzure(shown, snpTrust(endorsement.vek, own), common, crypto)
    : verifyAzureVtpm(
        { ...shown, hardware: { kind: 'tdx', quote: fromBase64Url(endorsement.quote, 'quote') } },
        { ...common, tdx: await tdxTrust(own, crypto) },
        crypto,
      ))
  const { anchor } = hardware.chain
  assertHonestClass(anchor)
  const fresh = runtime.userData !== undefined && crypto.equal(runtime.userData, azureUserData(trust.binding))
  return { anchors: [anchor], platform: { cloud: 'azure', runtime, fresh }, cpu: hardware, quote }
}

/** The 64 bytes that the paravisor is asked to put into its report for one request: the transcript, then zeros. */
export function azureUserData(binding: Uint8Array): Uint8Array {
  const userData = new Uint8Array(64)
  userData.set(binding)
  return userData
}

function verifySnpOnAzure(
  shown: VtpmEvidence & { readonly hclReport: Uint8Array },
  { vek, ...snp }: ReturnType<typeof snpTrust>,
  common: Pick<AzureExpectation, 'nonce' | 'userData'>,
  crypto: CryptoPort,
) {
  return verifyAzureVtpm({ ...shown, hardware: { kind: 'snp', vek } }, { ...common, snp }, crypto)
}

async function verifyGce(evidence: GceVtpmEvidence, trust: HardwareTrust, crypto: CryptoPort): Promise<Proved> {
  const { cpu } = evidence
  const akCertificate = fromBase64Url(evidence.akCertificate, 'akCertificate')
  const shown = {
    ...quoted(evidence),
    akCertificate,
    intermediates: evidence.intermediates.map((der) => fromBase64Url(der, 'intermediates')),
  }
  const expected: GceExpectation = {
    nonce: trust.binding,
    anchors: trust.anchors.filter(({ class: assurance }) => assurance === 'platform-vtpm' || assurance === 'simulated'),
    revocation: 'not-checked', // as of endorsement keys: distrust rules do that work
    at: trust.at,
    hardware: 'not-asked-for',
  }
  const { evidence: withCpu, expected: andCpu } =
    cpu === undefined
      ? { evidence: shown, expected }
      : await besideCpu(cpu, shown, expected, { ...trust, anchors: hardwareAnchors(trust.anchors) }, crypto)
  const { chain, instance = null, quote, hardware } = await verifyGceVtpm(withCpu, andCpu, crypto)
  const marked = [readEkCertificate(akCertificate).certificate, chain.anchor.certificate].some(({ extensions }) =>
    extensions.has(SIMULATOR_OID),
  )
  if (marked && chain.anchor.class !== 'simulated')
    throw new VouchsafeError(
      'endorsement.untrusted',
      `AK certificate: a simulator’s, but anchor ${chain.anchor.name} is of class ${chain.anchor.class}`,
    )
  const platform = { cloud: 'gce', instance } as const
  if (hardware === 'none') return { anchors: [chain.anchor], platform, cpu: null, quote }
  const { anchor } = hardware.evidence.chain
  assertHonestClass(anchor)
  return { anchors: [chain.anchor, anchor], platform, cpu: hardware.evidence, quote }
}

async function besideCpu(
  cpu: NonNullable<GceVtpmEvidence['cpu']>,
  shown: GceEvidence,
  expected: GceExpectation,
  own: HardwareTrust,
  crypto: CryptoPort,
): Promise<{ evidence: GceEvidence; expected: GceExpectation }> {
  const link = 'ak-in-report'
  if (cpu.format === 'snp') {
    const { vek, ...snp } = snpTrust(cpu.vek, own)
    const hardware = { kind: 'snp', report: fromBase64Url(cpu.report, 'report'), vek } as const
    return { evidence: { ...shown, hardware }, expected: { ...expected, hardware: { link, snp } } }
  }
  const quote = fromBase64Url(cpu.quote, 'quote')
  const log = cpu.bootLog === undefined ? {} : { eventLog: fromBase64Url(cpu.bootLog, 'cpu.bootLog') }
  const tdx = { ...(await tdxTrust(own, crypto)), unexplainedRtmrs: [RUNTIME] } as const
  return {
    evidence: { ...shown, hardware: { kind: 'tdx', quote, ...log } },
    expected: { ...expected, hardware: { link, tdx } },
  }
}

/** The vTPM's part; its logs are replayed apart, that of the launch among them. */
function quoted({ quote, registers }: PlatformEvidence): VtpmEvidence {
  return {
    attest: fromBase64Url(quote.attest, 'quote.attest'),
    signature: fromBase64Url(quote.signature, 'quote.signature'),
    registers: Array.from({ length: 24 }, (_, n) => {
      const value = registers[String(n)]
      if (value === undefined) throw new VouchsafeError('input.malformed', `registers: ${n} is not there`)
      return fromHex(value, `register ${n}`, 32)
    }),
  }
}

interface Counters {
  readonly resetCount: number
  readonly restartCount: number
}

function machineOf(
  format: PlatformEvidence['format'],
  akSpki: Uint8Array,
  { resetCount, restartCount }: Counters,
  crypto: CryptoPort,
): string {
  const id = transcript('vouchsafe/machine-vtpm/v1', [akSpki, String(resetCount), String(restartCount)], crypto)
  return `${format === 'azure-vtpm' ? 'azure' : 'gce'}:${toBase64Url(id)}`
}

/** The name that a broker will know this guest by, for the guest itself. Nothing is verified. @throws {VouchsafeError} */
export async function platformMachineId(evidence: PlatformEvidence, crypto: CryptoPort): Promise<string> {
  const akSpki =
    evidence.format === 'azure-vtpm'
      ? parseRuntimeData(parseHclReport(fromBase64Url(evidence.hclReport, 'hclReport')).runtimeData).akSpki
      : parseCertificate(fromBase64Url(evidence.akCertificate, 'akCertificate')).spki
  const quote = await translated(async () => parseTpmQuote(fromBase64Url(evidence.quote.attest, 'quote.attest')))
  return machineOf(evidence.format, akSpki, quote, crypto)
}
