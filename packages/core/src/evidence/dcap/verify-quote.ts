import type { CryptoPort } from '../../base/crypto.ts'
import { concat, fromHex, toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import {
  type Anchor,
  attribute,
  type Certificate,
  OID,
  parseCertificate,
  type SignatureMemo,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import { assertVerified } from '../verified.ts'
import { isZero } from '../parsed.ts'
import { assertWithin, type VerifiedDcapCollateral } from './collateral.ts'
import { ratingOf, type QeIdentity, type TcbInfo, type TcbRating } from './collateral-schema.ts'
import { type EnclaveReport, parseEnclaveReport } from './enclave-report.ts'
import type { DcapQuote } from './parse-quote.ts'
import { type Pck, readPck } from './pck.ts'

export interface DcapTrust {
  readonly anchors: readonly Anchor[]
  /**
   * Verified collateral. `not-checked` is for looking at recorded evidence: nothing is then known about revocation, TCB
   * and the quoting enclave's identity, the result says so, and no appraisal accepts it.
   */
  readonly collateral: VerifiedDcapCollateral | 'not-checked'
  readonly at: Date
  readonly memo?: SignatureMemo
}

/** What is known of a quote once everything but its body was judged. */
export interface DcapFacts {
  readonly pck: Pck
  readonly chain: VerifiedChain
  readonly qeReport: EnclaveReport
  readonly qeRating: TcbRating | 'not-checked'
}

const SHA256_RAW = { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' } as const
const P256_SPKI = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004')

/**
 * The chain that every DCAP quote hangs on (D13): root → PCK → quoting enclave → attestation key → header and body.
 *
 * @throws {VouchsafeError} `evidence.signature`, `evidence.mismatch`, `endorsement.*`
 * @source Intel SGX DCAP Quote Verification Library: quote verification, steps 1 to 4
 */
export async function verifyDcapQuote(quote: DcapQuote, trust: DcapTrust, crypto: CryptoPort): Promise<DcapFacts> {
  const { collateral, at } = trust
  if (collateral !== 'not-checked') {
    assertVerified(collateral)
    assertWithin('collateral', collateral.from, collateral.until, at)
  }
  const { leaf, chain } = await verifyPckChain(quote, trust, crypto)
  const pck = readPck(leaf)
  const check = async (spki: Uint8Array, data: Uint8Array, signature: Uint8Array, failure: string) => {
    if (!(await crypto.verify(await crypto.importPublicKey(spki), SHA256_RAW, data, signature)))
      throw new VouchsafeError('evidence.signature', `quote: ${failure}`)
  }
  await check(leaf.spki, quote.qe.report, quote.qe.signature, 'qe_report_signature does not verify under the PCK')
  const qeReport = parseEnclaveReport('quote: qe_report', quote.qe.report)
  const keyDigest = crypto.digest('sha256', quote.attestationKey, quote.qe.authenticationData)
  if (!crypto.equal(qeReport.reportData.subarray(0, 32), keyDigest) || !isZero(qeReport.reportData.subarray(32)))
    throw new VouchsafeError('evidence.mismatch', 'quote: the quoting enclave vouches for another attestation key')
  const spki = concat(P256_SPKI, quote.attestationKey)
  await check(spki, quote.signed, quote.signature, 'signature does not verify under the attestation key')
  const qeRating = collateral === 'not-checked' ? collateral : rateQuotingEnclave(qeReport, collateral.qeIdentity)
  if (collateral !== 'not-checked') matchPlatform(pck, collateral.tcbInfo)
  return { pck, chain, qeReport, qeRating }
}

async function verifyPckChain(
  quote: DcapQuote,
  { anchors, collateral, at, memo }: DcapTrust,
  crypto: CryptoPort,
): Promise<{ leaf: Certificate; chain: VerifiedChain }> {
  const [leaf, ...intermediates] = quote.pckChain.map((der) => parseCertificate(der))
  if (leaf === undefined) throw new VouchsafeError('endorsement.malformed', 'quote: no PCK chain')
  const chain = await verifyChain({
    leaf,
    intermediates,
    anchors,
    at,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation: collateral === 'not-checked' ? collateral : { lists: collateral.lists, require: 'every' },
    ...(memo && { memo }),
  })
  const [issuer, ...rest] = chain.path.slice(1)
  const names = [leaf, issuer].map((c) => c && attribute(c.subject, OID.commonName))
  const known = /^Intel SGX PCK (Platform|Processor) CA$/.test(names[1] ?? '')
  if (names[0] !== 'Intel SGX PCK Certificate' || !known || rest.length > 0)
    throw new VouchsafeError('endorsement.mismatch', `certificate ${leaf.label}: not a PCK certificate of a PCK CA`)
  return { leaf, chain }
}

/** The identity must fit exactly; of its levels, the highest that the enclave reaches counts. */
function rateQuotingEnclave(report: EnclaveReport, identity: QeIdentity): TcbRating {
  const [miscMask, attributesMask] = [fromHex(identity.miscselectMask), fromHex(identity.attributesMask)]
  const fields: readonly (readonly [string, string, string])[] = [
    ['MRSIGNER', toHex(report.mrSigner), identity.mrsigner],
    ['ISVPRODID', String(report.isvProdId), String(identity.isvprodid)],
    ['MISCSELECT', masked(uint32(report.miscSelect), miscMask), masked(fromHex(identity.miscselect), miscMask)],
    ['ATTRIBUTES', masked(report.attributes, attributesMask), masked(fromHex(identity.attributes), attributesMask)],
  ]
  for (const [field, found, wanted] of fields)
    if (found !== wanted)
      throw new VouchsafeError(
        'endorsement.mismatch',
        `quoting enclave: ${field} is ${found}, its identity says ${wanted}`,
      )
  const level = identity.tcbLevels.find((l) => l.tcb.isvsvn <= report.isvSvn)
  if (level === undefined)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `quoting enclave: ISVSVN ${report.isvSvn} is below every TCB level`,
    )
  return ratingOf(level)
}

function matchPlatform(pck: Pck, info: TcbInfo): void {
  for (const field of ['fmspc', 'pceId'] as const)
    if (pck[field] !== info[field])
      throw new VouchsafeError(
        'endorsement.mismatch',
        `tcbInfo: is for ${field} ${info[field]}, the platform has ${pck[field]}`,
      )
}

/** @internal Shared by all quotes: 64 bytes, in time that depends on nothing. */
export function checkReportData(
  found: Uint8Array,
  expected: Uint8Array | 'not-checked',
  crypto: CryptoPort,
): 'as-expected' | 'not-checked' {
  if (expected === 'not-checked') return expected
  if (expected.length !== 64)
    throw new VouchsafeError('internal', `quote: ${expected.length} bytes of report data expected, wanted 64`)
  if (!crypto.equal(found, expected))
    throw new VouchsafeError('evidence.binding', 'quote: REPORTDATA is not what was asked for')
  return 'as-expected'
}

/** `value` under `mask`, in hexadecimal. */
export function masked(value: Uint8Array, mask: Uint8Array): string {
  return toHex(value.map((byte, i) => byte & (mask[i] ?? 0)))
}

/** MISCSELECT is a little-endian number in reports, and big-endian digits in collateral. */
function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}
