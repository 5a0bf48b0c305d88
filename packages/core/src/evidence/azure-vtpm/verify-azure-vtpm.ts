import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { markVerified, type Verified } from '../verified.ts'
import { type SnpExpectation, type VerifiedSnpEvidence, verifySnpReport } from '../snp/verify-report.ts'
import { type TdxExpectation, type VerifiedTdxEvidence, verifyTdxQuote } from '../tdx/verify-tdx-quote.ts'
import { type VerifiedVtpm, verifyVtpmQuote, type VtpmEvidence, type VtpmExpectation } from '../vtpm-quote.ts'
import { type HclReport, parseHclReport } from './parse-hcl-report.ts'
import { type HclRuntimeData, parseRuntimeData } from './runtime-data.ts'

/** What an Azure confidential VM shows: its vTPM's quote, the paravisor's report, and what endorses the hardware. */
export interface AzureEvidence extends VtpmEvidence {
  readonly hclReport: Uint8Array
  /** DER of the VCEK for an SNP machine; the TD quote, made over the report's TDREPORT, for a TDX one. */
  readonly hardware:
    { readonly kind: 'snp'; readonly vek: Uint8Array } | { readonly kind: 'tdx'; readonly quote: Uint8Array }
}

export interface AzureExpectation extends VtpmExpectation {
  /** Trust in the hardware; leaving one out refuses machines of that kind. */
  readonly snp?: Omit<SnpExpectation, 'reportData'>
  readonly tdx?: Omit<TdxExpectation, 'reportData' | 'unexplainedRtmrs'>
  /** 64 bytes that the guest must have put into the paravisor's report; `not-checked` where it was not asked to. */
  readonly userData: Uint8Array | 'not-checked'
}

/** What a paravisor's report proves by itself: whose CPU it is, and which vTPM key that CPU committed to. */
export interface HclFacts {
  /** Its report data is the hash of `runtime`: the signed link between CPU and vTPM (A18, D17). */
  readonly hardware: VerifiedSnpEvidence | VerifiedTdxEvidence
  readonly runtime: HclRuntimeData
}

/** Everything that is now known to be so. */
export interface AzureFacts extends VerifiedVtpm, HclFacts {
  readonly format: 'azure-vtpm'
}

export type HclEvidence = Pick<AzureEvidence, 'hclReport' | 'hardware'>
export type HclExpectation = Pick<AzureExpectation, 'snp' | 'tdx' | 'userData'>

export type VerifiedAzureEvidence = Verified<AzureFacts>

/**
 * Is this vTPM the one of the paravisor that a genuine CPU reports on? The hardware report commits to the runtime data,
 * the runtime data names the vTPM's key, and that key signed the quote with our nonce. The three cannot be mixed from
 * several machines (A18).
 *
 * @throws {VouchsafeError} `evidence.mismatch` when the parts do not belong together; else as the verifiers of the parts.
 */
export async function verifyAzureVtpm(
  evidence: AzureEvidence,
  expected: AzureExpectation,
  crypto: CryptoPort,
): Promise<VerifiedAzureEvidence> {
  const { hardware, runtime } = await verifyHclReport(evidence, expected, crypto)
  const vtpm = await verifyVtpmQuote(evidence, runtime.akSpki, expected, crypto)
  return markVerified({ format: 'azure-vtpm', hardware, runtime, ...vtpm } as const)
}

/**
 * The half of it without a quote: which vTPM a genuine CPU vouches for. It says nothing of what was booted.
 *
 * @throws {VouchsafeError} As `verifyAzureVtpm`.
 */
export async function verifyHclReport(
  evidence: HclEvidence,
  expected: HclExpectation,
  crypto: CryptoPort,
): Promise<Verified<HclFacts>> {
  const hcl = parseHclReport(evidence.hclReport)
  const hardware = await verifyHardware(hcl, evidence.hardware, expected, crypto)
  const runtime = parseRuntimeData(hcl.runtimeData)
  checkUserData(runtime, expected.userData, crypto)
  return markVerified({ hardware, runtime })
}

async function verifyHardware(
  hcl: HclReport,
  hardware: AzureEvidence['hardware'],
  { snp, tdx }: HclExpectation,
  crypto: CryptoPort,
): Promise<AzureFacts['hardware']> {
  if (hcl.kind !== hardware.kind)
    throw new VouchsafeError('evidence.mismatch', `HCL report: of ${hcl.kind}, shown with evidence of ${hardware.kind}`)
  const reportData = new Uint8Array(64)
  reportData.set(crypto.digest(hcl.hash, hcl.runtimeData))
  try {
    if (hardware.kind === 'snp') {
      if (snp === undefined)
        throw new VouchsafeError('endorsement.untrusted', 'Azure: SNP machines are not trusted here')
      return await verifySnpReport({ report: hcl.hardwareReport, vek: hardware.vek }, { ...snp, reportData }, crypto)
    }
    if (tdx === undefined) throw new VouchsafeError('endorsement.untrusted', 'Azure: TDX machines are not trusted here')
    return await verifyTdxQuote({ quote: hardware.quote }, { ...tdx, reportData }, crypto)
  } catch (cause) {
    if (!(cause instanceof VouchsafeError) || cause.code !== 'evidence.binding') throw cause
    throw new VouchsafeError(
      'evidence.mismatch',
      'HCL report: the hardware report does not commit to its runtime data',
      { cause },
    )
  }
}

function checkUserData({ userData }: HclRuntimeData, expected: AzureExpectation['userData'], crypto: CryptoPort): void {
  if (expected === 'not-checked') return
  if (expected.length !== 64)
    throw new VouchsafeError('internal', `Azure: ${expected.length} bytes of user data expected, wanted 64`)
  if (userData === undefined || !crypto.equal(userData, expected))
    throw new VouchsafeError('evidence.binding', 'HCL runtime data: user-data is not what was asked for')
}
