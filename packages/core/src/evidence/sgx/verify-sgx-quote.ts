import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { ratingOf, type TcbInfo, type TcbRating } from '../dcap/collateral-schema.ts'
import { type EnclaveReport, parseEnclaveReport } from '../dcap/enclave-report.ts'
import { type DcapQuote, parseDcapQuote } from '../dcap/parse-quote.ts'
import type { Pck } from '../dcap/pck.ts'
import { combineTcbStatus, type TcbStatus } from '../dcap/tcb-status.ts'
import { checkReportData, type DcapFacts, type DcapTrust, endOf, verifyDcapQuote } from '../dcap/verify-quote.ts'
import { markVerified, type Verified } from '../verified.ts'

export interface SgxEvidence {
  readonly quote: Uint8Array
}

export interface SgxExpectation extends DcapTrust {
  /** All 64 bytes; `not-checked` as for SNP. */
  readonly reportData: Uint8Array | 'not-checked'
}

/** What Intel says of an SGX platform: of each part, and of all together. */
export interface SgxRating {
  readonly status: TcbStatus
  readonly platform: TcbRating
  readonly qe: TcbRating
  readonly advisories: readonly string[]
  readonly evaluationNumber: number
}

/** Everything that is now known to be so. */
export interface SgxFacts extends Omit<DcapFacts, 'qeRating'> {
  readonly format: 'sgx'
  readonly quote: DcapQuote
  readonly report: EnclaveReport
  readonly rating: SgxRating | 'not-checked'
  readonly reportData: 'as-expected' | 'not-checked'
  readonly validUntil: Date
}

export type VerifiedSgxEvidence = Verified<SgxFacts>

/**
 * Is this quote by a genuine Intel platform, over this enclave, and how good does Intel's collateral say it is?
 *
 * @throws {VouchsafeError} As `verifyTdxQuote`.
 */
export async function verifySgxQuote(
  evidence: SgxEvidence,
  expected: SgxExpectation,
  crypto: CryptoPort,
): Promise<VerifiedSgxEvidence> {
  const quote = parseDcapQuote(evidence.quote)
  if (quote.bodyKind !== 'sgx')
    throw new VouchsafeError('evidence.unsupported', 'quote: is of a TD, wanted of an SGX enclave')
  const { pck, chain, qeReport, qeRating } = await verifyDcapQuote(quote, expected, crypto)
  const report = parseEnclaveReport('quote: report', quote.body)
  const { collateral } = expected
  const rating =
    collateral === 'not-checked' || qeRating === 'not-checked' ? 'not-checked' : rate(pck, collateral.tcbInfo, qeRating)
  const reportData = checkReportData(report.reportData, expected.reportData, crypto)
  const validUntil = endOf(chain, collateral)
  return markVerified({ format: 'sgx', quote, pck, chain, qeReport, report, rating, reportData, validUntil } as const)
}

/** @source Intel PCS API v4: TCB info, "TCB levels" */
function rate(pck: Pck, info: TcbInfo, qe: TcbRating): SgxRating {
  if (info.id !== 'SGX') throw new VouchsafeError('endorsement.mismatch', 'tcbInfo: is of TDX, wanted of SGX')
  const level = info.tcbLevels.find(
    ({ tcb }) =>
      pck.componentSvns.every((svn, i) => svn >= (tcb.sgxtcbcomponents[i] ?? Infinity)) && pck.pceSvn >= tcb.pcesvn,
  )
  if (level === undefined)
    throw new VouchsafeError('endorsement.mismatch', 'tcbInfo: the platform is below every TCB level')
  const platform = ratingOf(level)
  return {
    status: combineTcbStatus([platform.status, qe.status]),
    platform,
    qe,
    advisories: [...new Set([...platform.advisories, ...qe.advisories])],
    evaluationNumber: info.tcbEvaluationDataNumber,
  }
}
