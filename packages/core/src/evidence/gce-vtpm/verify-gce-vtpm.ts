import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { transcript } from '../../base/transcript.ts'
import {
  type Anchor,
  EK_HANDLED_CRITICAL,
  parseCertificate,
  readEkCertificate,
  type Revocation,
  type EndorsementMemo,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import {
  type SnpEvidence,
  type SnpExpectation,
  type VerifiedSnpEvidence,
  verifySnpReport,
} from '../snp/verify-report.ts'
import {
  type TdxEvidence,
  type TdxExpectation,
  type VerifiedTdxEvidence,
  verifyTdxQuote,
} from '../tdx/verify-tdx-quote.ts'
import { markVerified, type Verified } from '../verified.ts'
import { type VerifiedVtpm, verifyVtpmQuote, type VtpmEvidence, type VtpmExpectation } from '../vtpm-quote.ts'
import { type GceInstance, readGceInstance } from './instance.ts'

/** What a Google Compute Engine VM shows: its vTPM's quote, the key's certificate, and its CPU's report if it has one. */
export interface GceEvidence extends VtpmEvidence {
  /** DER, as the vTPM's NV index holds it. */
  readonly akCertificate: Uint8Array
  readonly intermediates: readonly Uint8Array[]
  readonly hardware?: ({ readonly kind: 'snp' } & SnpEvidence) | ({ readonly kind: 'tdx' } & TdxEvidence)
}

/**
 * How vTPM and CPU report are tied together (A18).
 * `ak-in-report`: the report's data is `gceReportData(nonce, AK)`, so the CPU signed which vTPM it belongs to.
 * `dangerously-nonce-only`: both carry the nonce, which is all that Google's own tool does: two machines of one owner
 * could each give a part.
 */
export type GceLink = 'ak-in-report' | 'dangerously-nonce-only'

export interface GceExpectation extends VtpmExpectation {
  /** Google's roots for vTPMs. */
  readonly anchors: readonly Anchor[]
  readonly revocation: Revocation
  readonly at: Date
  readonly memo?: EndorsementMemo
  /** Whether a CPU report must be there, and how it is tied to the vTPM. */
  readonly hardware:
    | 'not-asked-for'
    | {
        readonly link: GceLink
        readonly snp?: Omit<SnpExpectation, 'reportData'>
        readonly tdx?: Omit<TdxExpectation, 'reportData'>
      }
}

/** Everything that is now known to be so. */
export interface GceFacts extends VerifiedVtpm {
  readonly format: 'gce-vtpm'
  readonly chain: VerifiedChain
  /** Absent where the certificate names no production instance. */
  readonly instance?: GceInstance
  readonly hardware: { readonly link: GceLink; readonly evidence: VerifiedSnpEvidence | VerifiedTdxEvidence } | 'none'
}

export type VerifiedGceEvidence = Verified<GceFacts>

/**
 * Is this quote by a vTPM that Google vouches for, and, where asked for, does a genuine CPU report belong to it?
 *
 * @throws {VouchsafeError} `endorsement.*` for the key's chain; `evidence.mismatch` when a CPU report is missing or not
 *   tied to this vTPM; else as the verifiers of the parts.
 */
export async function verifyGceVtpm(
  evidence: GceEvidence,
  expected: GceExpectation,
  crypto: CryptoPort,
): Promise<VerifiedGceEvidence> {
  const { certificate } = readEkCertificate(evidence.akCertificate)
  const chain = await verifyChain({
    leaf: certificate,
    intermediates: evidence.intermediates.map((der) => parseCertificate(der)),
    anchors: expected.anchors,
    at: expected.at,
    crypto,
    leafKeyUsage: 'digitalSignature', // tells AK from EK certificates: both come from the same issuer
    extendedKeyUsage: 'any', // the newer of Google's two hierarchies leaves it out
    revocation: expected.revocation,
    handledCritical: EK_HANDLED_CRITICAL,
    ...(expected.memo && { memo: expected.memo }),
  })
  if (certificate.keyUsage === undefined)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `certificate ${certificate.label}: does not say that its key may sign`,
    )
  const instance = readGceInstance(certificate)
  const vtpm = await verifyVtpmQuote(evidence, certificate.spki, expected, crypto)
  const hardware = await verifyHardware(evidence, certificate.spki, expected, crypto)
  return markVerified({ format: 'gce-vtpm', chain, ...(instance && { instance }), ...vtpm, hardware } as const)
}

async function verifyHardware(
  { hardware }: GceEvidence,
  akSpki: Uint8Array,
  expected: GceExpectation,
  crypto: CryptoPort,
): Promise<GceFacts['hardware']> {
  if (expected.hardware === 'not-asked-for') return 'none'
  const { link, snp, tdx } = expected.hardware
  if (hardware === undefined)
    throw new VouchsafeError('evidence.mismatch', 'GCE: a CPU report was asked for, none is there')
  const reportData = link === 'ak-in-report' ? gceReportData(expected.nonce, akSpki, crypto) : padded(expected.nonce)
  try {
    if (hardware.kind === 'snp') {
      if (snp === undefined) throw new VouchsafeError('endorsement.untrusted', 'GCE: SNP machines are not trusted here')
      return { link, evidence: await verifySnpReport(hardware, { ...snp, reportData }, crypto) }
    }
    if (tdx === undefined) throw new VouchsafeError('endorsement.untrusted', 'GCE: TDX machines are not trusted here')
    return { link, evidence: await verifyTdxQuote(hardware, { ...tdx, reportData }, crypto) }
  } catch (cause) {
    if (!(cause instanceof VouchsafeError) || cause.code !== 'evidence.binding') throw cause
    throw new VouchsafeError('evidence.mismatch', 'GCE: the CPU report is not tied to this vTPM and nonce', { cause })
  }
}

/** What a guest of ours puts into its CPU report: nonce and vTPM key, 32 bytes and as many zeros. */
export function gceReportData(nonce: Uint8Array, akSpki: Uint8Array, crypto: CryptoPort): Uint8Array {
  return padded(transcript('vouchsafe/vtpm-link/v1', [nonce, akSpki], crypto))
}

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 64) throw new VouchsafeError('internal', `GCE: a nonce of ${bytes.length} bytes, at most 64`)
  const out = new Uint8Array(64)
  out.set(bytes)
  return out
}
