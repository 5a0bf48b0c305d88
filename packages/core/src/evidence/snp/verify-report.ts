import type { CryptoPort } from '../../base/crypto.ts'
import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { keyOf, sameBytes, type VerifiedChain } from '../../x509/index.ts'
import { isZero } from '../parsed.ts'
import { markVerified, type Verified } from '../verified.ts'
import { parseSnpReport, type SnpReport } from './parse-report.ts'
import { decodeTcb, formatTcb, partsBelow, productOfCpu, sameTcb, type SnpProduct, type SnpTcb } from './tcb.ts'
import type { Vek } from './vek.ts'
import { type SnpTrust, verifyVek } from './verify-vek.ts'

/** What an SNP guest shows. */
export interface SnpEvidence {
  readonly report: Uint8Array
  /** DER of the VCEK or VLEK certificate, from the guest or from AMD: it convinces by its chain alone. */
  readonly vek: Uint8Array
}

export interface SnpExpectation extends SnpTrust {
  /**
   * All 64 bytes. `not-checked` is for looking at recorded evidence: the result then says so, and must not be believed
   * to answer any request.
   */
  readonly reportData: Uint8Array | 'not-checked'
}

/** Everything that is now known to be so. */
export interface SnpFacts {
  readonly format: 'snp'
  readonly report: SnpReport
  readonly product: SnpProduct
  readonly vek: Vek
  readonly chain: VerifiedChain
  readonly tcb: {
    /** The endorsement key's: the one to which AMD's certificate testifies. */
    readonly reported: SnpTcb
    readonly current: SnpTcb
    readonly committed: SnpTcb
    readonly launch: SnpTcb
  }
  /** Hidden where the host masks it, so that no list of chips can apply to it (D07). The id is in hexadecimal. */
  readonly chip: { readonly kind: 'known'; readonly id: string } | { readonly kind: 'hidden' }
  readonly reportData: 'as-expected' | 'not-checked'
}

export type VerifiedSnpEvidence = Verified<SnpFacts>

/**
 * Is this report signed by a genuine AMD platform of a known product line, and does the endorsement speak of this very
 * chip and TCB? Whether the platform is good enough is for `appraiseSnp` to say.
 *
 * @throws {VouchsafeError} `input.malformed`, `evidence.unsupported`, `evidence.algorithm`: see `parseSnpReport`.
 *   `evidence.binding`: other report data. `evidence.signature`. `evidence.mismatch`: the report contradicts itself.
 *   `endorsement.mismatch`: another chip, TCB, product or kind of key. `endorsement.*` otherwise: see `verifyChain`.
 */
export async function verifySnpReport(
  evidence: SnpEvidence,
  expected: SnpExpectation,
  crypto: CryptoPort,
): Promise<VerifiedSnpEvidence> {
  const report = parseSnpReport(evidence.report)
  const { certificate, vek, chain } = await verifyVek(evidence.vek, expected, crypto, (v) => agreedProduct(report, v))
  const { product } = vek
  const known = keyOf(crypto, expected.memo, certificate)
  const key = known instanceof Promise ? await known : known
  if (key.algorithm.kind !== 'ec' || key.algorithm.curve !== 'P-384')
    throw new VouchsafeError('endorsement.malformed', `certificate ${certificate.label}: key is not on P-384`)
  const scheme = { kind: 'ecdsa', hash: 'sha384', encoding: 'raw' } as const
  if (!(await crypto.verify(key, scheme, report.signed, report.signature)))
    throw new VouchsafeError('evidence.signature', `SNP report: SIGNATURE does not verify under the ${vek.kind}`)

  const tcb = {
    reported: decodeTcb('REPORTED_TCB', report.reportedTcb, product),
    current: decodeTcb('CURRENT_TCB', report.currentTcb, product),
    committed: decodeTcb('COMMITTED_TCB', report.committedTcb, product),
    launch: decodeTcb('LAUNCH_TCB', report.launchTcb, product),
  }
  if (!sameTcb(tcb.reported, vek.tcb))
    throw new VouchsafeError(
      'endorsement.mismatch',
      `SNP report: REPORTED_TCB is ${formatTcb(tcb.reported)}, the ${vek.kind} is for ${formatTcb(vek.tcb)}`,
    )
  checkOrder(tcb)
  if (!report.authorKeyEnabled && !isZero(report.authorKeyDigest))
    throw new VouchsafeError('evidence.mismatch', 'SNP report: AUTHOR_KEY_DIGEST is set, AUTHOR_KEY_EN is not')
  const chip = matchChip(report, vek)
  const reportData = checkReportData(report, expected.reportData, crypto)
  return markVerified({ format: 'snp', report, product, vek, chain, tcb, chip, reportData } as const)
}

/** From version 3 the report itself says what CPU it is; before, only the certificate does (D08). */
function agreedProduct(report: SnpReport, vek: Vek): void {
  if (report.signingKey !== vek.kind)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `SNP report: signed by a ${report.signingKey}, given a ${vek.kind}`,
    )
  if (report.cpu === undefined) return
  const product = productOfCpu(report.cpu.family, report.cpu.model)
  if (product !== vek.product)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `SNP report: of a ${product}, the ${vek.kind} is for a ${vek.product}`,
    )
}

/** What the firmware guarantees at all times. The launch TCB is not bound so: firmware may step back afterwards. */
function checkOrder(tcb: SnpFacts['tcb']): void {
  for (const lower of ['reported', 'committed'] as const) {
    const [above] = partsBelow(tcb.current, tcb[lower])
    if (above !== undefined)
      throw new VouchsafeError('evidence.mismatch', `SNP report: CURRENT_TCB is below the ${lower} one: ${above}`)
  }
}

function matchChip(report: SnpReport, { hwid }: Vek): SnpFacts['chip'] {
  if (isZero(report.chipId)) return { kind: 'hidden' }
  if (hwid === undefined) return { kind: 'known', id: toHex(report.chipId) }
  const chip = report.chipId.subarray(0, hwid.length)
  if (!sameBytes(chip, hwid) || !isZero(report.chipId.subarray(hwid.length)))
    throw new VouchsafeError('endorsement.mismatch', 'SNP report: CHIP_ID is not the HWID of the vcek')
  return { kind: 'known', id: toHex(chip) }
}

function checkReportData(
  report: SnpReport,
  expected: SnpExpectation['reportData'],
  crypto: CryptoPort,
): SnpFacts['reportData'] {
  if (expected === 'not-checked') return expected
  if (expected.length !== 64)
    throw new VouchsafeError('internal', `SNP report: ${expected.length} bytes of report data expected, wanted 64`)
  if (!crypto.equal(report.reportData, expected))
    throw new VouchsafeError('evidence.binding', 'SNP report: REPORT_DATA is not what was asked for')
  return 'as-expected'
}
