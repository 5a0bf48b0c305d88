import { parseCcelLog, replayTcgLog, type TcgLog, verifyReplays, type Coverage } from '@vouchsafe/tpm/eventlog'
import { TpmError } from '@vouchsafe/tpm/codec'
import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { type DcapQuote, parseDcapQuote } from '../dcap/parse-quote.ts'
import { checkReportData, type DcapFacts, type DcapTrust, endOf, verifyDcapQuote } from '../dcap/verify-quote.ts'
import { markVerified, type Verified } from '../verified.ts'
import { parseTdReport, type TdReport } from './parse-td-report.ts'
import { rateTdxPlatform, type TdxRating } from './rate-platform.ts'

/** What a TD shows. */
export interface TdxEvidence {
  readonly quote: Uint8Array
  /** CCEL log area, where the guest shows one. */
  readonly eventLog?: Uint8Array
}

export interface TdxExpectation extends DcapTrust {
  /** All 64 bytes; `not-checked` as for SNP. */
  readonly reportData: Uint8Array | 'not-checked'
  /** RTMRs that may hold a value which the event log does not explain, such as one that the workload extends itself. */
  readonly unexplainedRtmrs?: readonly (0 | 1 | 2 | 3)[]
}

/** Everything that is now known to be so. */
export interface TdxFacts extends Omit<DcapFacts, 'qeRating'> {
  readonly format: 'tdx'
  readonly quote: DcapQuote
  readonly report: TdReport
  readonly rating: TdxRating | 'not-checked'
  /** The log replays to the RTMRs. `coverage` counts registers as CCEL does: RTMR n is n + 1. */
  readonly eventLog: { readonly log: TcgLog; readonly coverage: Coverage } | 'none'
  readonly reportData: 'as-expected' | 'not-checked'
  /** Before this moment nothing that the result rests on expires. */
  readonly validUntil: Date
}

export type VerifiedTdxEvidence = Verified<TdxFacts>

/**
 * Is this quote by a genuine Intel platform, over this TD, and how good does Intel's collateral say the platform is?
 * Whether that is good enough is for `appraiseTdx` to say.
 *
 * @throws {VouchsafeError} `input.malformed`, `evidence.unsupported`, `evidence.algorithm`: see `parseDcapQuote`.
 *   `evidence.binding`, `evidence.signature`, `evidence.mismatch`, `evidence.log`, `endorsement.*`
 */
export async function verifyTdxQuote(
  evidence: TdxEvidence,
  expected: TdxExpectation,
  crypto: CryptoPort,
): Promise<VerifiedTdxEvidence> {
  const quote = parseDcapQuote(evidence.quote)
  if (quote.bodyKind === 'sgx')
    throw new VouchsafeError('evidence.unsupported', 'quote: is of an SGX enclave, wanted of a TD')
  const { pck, chain, qeReport, qeRating } = await verifyDcapQuote(quote, expected, crypto)
  const report = parseTdReport(quote.body, quote.bodyKind)
  const rating = ratePlatform(report, pck, expected, qeRating)
  const reportData = checkReportData(report.reportData, expected.reportData, crypto)
  const eventLog = evidence.eventLog === undefined ? 'none' : replay(evidence.eventLog, report, expected, crypto)
  const validUntil = endOf(chain, expected.collateral)
  return markVerified({
    format: 'tdx',
    quote,
    pck,
    chain,
    qeReport,
    report,
    rating,
    eventLog,
    reportData,
    validUntil,
  } as const)
}

function ratePlatform(
  report: TdReport,
  pck: DcapFacts['pck'],
  { collateral }: TdxExpectation,
  qe: DcapFacts['qeRating'],
): TdxFacts['rating'] {
  if (collateral === 'not-checked' || qe === 'not-checked') return 'not-checked'
  if (collateral.tcbInfo.id !== 'TDX')
    throw new VouchsafeError('endorsement.mismatch', 'tcbInfo: is of SGX, wanted of TDX')
  return rateTdxPlatform(report, pck, collateral.tcbInfo, qe)
}

function replay(
  area: Uint8Array,
  { rtmrs }: TdReport,
  { unexplainedRtmrs = [] }: TdxExpectation,
  crypto: CryptoPort,
): Exclude<TdxFacts['eventLog'], 'none'> {
  try {
    const log = parseCcelLog(area)
    const values = new Map(rtmrs.map((value, n) => [n + 1, value]))
    const coverage = verifyReplays(
      [replayTcgLog(log, 'sha384', crypto)],
      { space: 'ccmr', bank: 'sha384', values },
      { mayBeUnexplained: unexplainedRtmrs.map((n) => n + 1) },
    )
    return { log, coverage }
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause
    const code = cause.code === 'input.malformed' || cause.code === 'input.too-large' ? cause.code : 'evidence.log'
    throw new VouchsafeError(code, `CCEL: ${cause.message}`, { cause })
  }
}
