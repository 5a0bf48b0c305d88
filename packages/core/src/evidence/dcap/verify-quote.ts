import type { CryptoPort, PublicKey } from '../../base/crypto.ts'
import { concat, fromHex, toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import {
  type Anchor,
  attribute,
  type ChainRequest,
  type EndorsementMemo,
  knownChain,
  OID,
  once,
  sameBytes,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import { assertVerified } from '../verified.ts'
import { isZero } from '../parsed.ts'
import { assertWithin, type VerifiedDcapCollateral } from './collateral.ts'
import { ratingOf, type QeIdentity, type TcbInfo, type TcbRating } from './collateral-schema.ts'
import { type EnclaveReport, parseEnclaveReport } from './enclave-report.ts'
import type { DcapQuote } from './parse-quote.ts'
import { assertWholeChain, type Pck, type PckChain, readBlock, readPckChain } from './pck.ts'

export interface DcapTrust {
  readonly anchors: readonly Anchor[]
  /**
   * Verified collateral. `not-checked` is for looking at recorded evidence: nothing is then known about revocation, TCB
   * and the quoting enclave's identity, the result says so, and no appraisal accepts it.
   */
  readonly collateral: VerifiedDcapCollateral | 'not-checked'
  readonly at: Date
  readonly memo?: EndorsementMemo
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
  const { collateral, at, memo } = trust
  if (collateral !== 'not-checked') {
    assertVerified(collateral)
    assertWithin('collateral', collateral.from, collateral.until, at)
  }
  // what is known is not waited for: a turn of the queue takes as long as finding it
  const known = once(memo, 'dcap', quote.certification, () => readCertification(quote, memo, crypto))
  const certification = known instanceof Promise ? await known : known
  const request = pckChainRequest(certification.presented, trust, crypto)
  const chain = knownChain(request) ?? (await verifyChain(request))
  const isGood = crypto.verify(certification.key, SHA256_RAW, quote.signed, quote.signature)
  if (!(typeof isGood === 'boolean' ? isGood : await isGood))
    throw new VouchsafeError('evidence.signature', 'quote: signature does not verify under the attestation key')
  const { presented, qeReport } = certification
  return { pck: presented.pck, chain, qeReport, qeRating: judged(certification, chain, collateral) }
}

/** What follows from a platform's certification, its chain and collateral, found out once for these very three. */
function judged(
  certification: Certification,
  chain: VerifiedChain,
  collateral: DcapTrust['collateral'],
): DcapFacts['qeRating'] {
  const { presented, qeReport, last } = certification
  if (last?.chain === chain && last.collateral === collateral) return last.qeRating
  assertPck(presented, chain)
  const qeRating = collateral === 'not-checked' ? collateral : rateQuotingEnclave(qeReport, collateral.qeIdentity)
  if (collateral !== 'not-checked') matchPlatform(presented.pck, collateral.tcbInfo)
  certification.last = { chain, collateral, qeRating }
  return qeRating
}

function pckChainRequest(
  { leaf, intermediates }: PckChain,
  { anchors, collateral, at, memo }: DcapTrust,
  crypto: CryptoPort,
): ChainRequest {
  return {
    leaf,
    intermediates,
    anchors,
    at,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation: collateral === 'not-checked' ? collateral : { lists: collateral.lists, require: 'every' },
    ...(memo && { memo }),
  }
}

/** A chain of a PCK and the authority of its kind, and nothing beside it. */
function assertPck({ leaf, intermediates }: PckChain, chain: VerifiedChain): void {
  const [issuer, ...rest] = chain.path.slice(1)
  const authority = issuer && attribute(issuer.subject, OID.commonName)
  const known = authority === 'Intel SGX PCK Platform CA' || authority === 'Intel SGX PCK Processor CA'
  const isPck = attribute(leaf.subject, OID.commonName) === 'Intel SGX PCK Certificate'
  if (!isPck || !known || rest.length > 0)
    throw new VouchsafeError('endorsement.mismatch', `certificate ${leaf.label}: not a PCK certificate of a PCK CA`)
  assertWholeChain(intermediates, chain)
}

/** What comes with every quote of a platform, and means the same each time. The chain is still to be verified. */
interface Certification {
  readonly presented: PckChain
  readonly qeReport: EnclaveReport
  /** The attestation key. */
  readonly key: PublicKey
  /** What it was last judged by, and to be. */
  last?: Pick<DcapFacts, 'chain' | 'qeRating'> & Pick<DcapTrust, 'collateral'>
}

/** The presented platform key vouches for the quoting enclave, and the enclave for the attestation key. */
async function readCertification(
  { qe, attestationKey, pckChain }: DcapQuote,
  memo: EndorsementMemo | undefined,
  crypto: CryptoPort,
): Promise<Certification> {
  const presented = await readPckChain(pckChain, (block) => once(memo, 'pem', block, () => readBlock(block)))
  const pckKey = await crypto.importPublicKey(presented.leaf.spki)
  if (!(await crypto.verify(pckKey, SHA256_RAW, qe.report, qe.signature)))
    throw new VouchsafeError('evidence.signature', 'quote: qe_report_signature does not verify under the PCK')
  const qeReport = parseEnclaveReport('quote: qe_report', qe.report)
  const digest = crypto.digest('sha256', concat(attestationKey, qe.authenticationData))
  if (!sameBytes(qeReport.reportData.subarray(0, 32), digest) || !isZero(qeReport.reportData.subarray(32)))
    throw new VouchsafeError('evidence.mismatch', 'quote: the quoting enclave vouches for another attestation key')
  return { presented, qeReport, key: await crypto.importPublicKey(concat(P256_SPKI, attestationKey)) }
}

/** The identity must fit exactly; of its levels, the highest that the enclave reaches counts. */
function rateQuotingEnclave(report: EnclaveReport, identity: QeIdentity): TcbRating {
  const wrong = (field: string, found: string | number, wanted: string | number) =>
    new VouchsafeError('endorsement.mismatch', `quoting enclave: ${field} is ${found}, its identity says ${wanted}`)
  if (!sameBytes(report.mrSigner, identity.mrsigner))
    throw wrong('MRSIGNER', toHex(report.mrSigner), toHex(identity.mrsigner))
  if (report.isvProdId !== identity.isvprodid) throw wrong('ISVPRODID', report.isvProdId, identity.isvprodid)
  const misc = uint32(report.miscSelect)
  if (!sameUnderMask(misc, identity.miscselect, identity.miscselectMask))
    throw wrong('MISCSELECT', toHex(misc), toHex(identity.miscselect))
  if (!sameUnderMask(report.attributes, identity.attributes, identity.attributesMask))
    throw wrong('ATTRIBUTES', toHex(report.attributes), toHex(identity.attributes))
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

/** @internal Before this moment nothing that a quote was judged by expires. */
export function endOf({ validUntil }: VerifiedChain, collateral: DcapTrust['collateral']): Date {
  const end = validUntil.getTime()
  return new Date(collateral === 'not-checked' ? end : Math.min(end, collateral.until.getTime()))
}

/** Whether two values agree in the bits that a mask selects. Values of another length than their mask never do. */
export function sameUnderMask(a: Uint8Array, b: Uint8Array, mask: Uint8Array): boolean {
  if (a.length !== mask.length || b.length !== mask.length) return false
  for (let i = 0; i < mask.length; i++) if ((((a[i] ?? 0) ^ (b[i] ?? 0)) & (mask[i] ?? 0)) !== 0) return false
  return true
}

/** MISCSELECT is a little-endian number in reports, and big-endian digits in collateral. */
function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}
