import type { CryptoPort } from '../../base/crypto.ts'
import { toBase64Url } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { transcript } from '../../base/transcript.ts'
import {
  type EndorsementMemo,
  type Anchor,
  type Certificate,
  type EkCertificate,
  EK_HANDLED_CRITICAL,
  readEkCertificate,
  parseCertificate,
  verifyChain,
} from '../../x509/index.ts'

/** EKU of endorsement key certificates. @source TCG EK Credential Profile 2.5, section 3.2.16 */
const TCG_KP_EK_CERTIFICATE = '2.23.133.8.1'
/** swtpm’s own manufacturer id: a software TPM, whatever root stands above it. */
const SWTPM_MANUFACTURER = 'id:00001014'

/** Marks every certificate that a simulator makes, roots and endorsement keys alike (decision 9); an arc of our own (ITU-T X.667). */
export const SIMULATOR_OID = '2.25.330664900464277845244769800134942258244'

/** An endorsement key certificate whose chain was verified to an anchor of the tenant. */
export interface VerifiedEndorsement {
  readonly ek: EkCertificate
  readonly anchor: Anchor
}

/**
 * Verifies the certificate of an endorsement key. The class of everything that rests on it is the anchor's (decision 9).
 *
 * @throws {VouchsafeError} `endorsement.*`; `endorsement.untrusted` also where a software TPM's certificate would count
 *   as anything but simulated.
 */
export async function verifyEndorsement(
  ekCertificate: Uint8Array,
  intermediates: readonly Uint8Array[],
  anchors: readonly Anchor[],
  at: Date,
  crypto: CryptoPort,
): Promise<VerifiedEndorsement> {
  const ek = readEkCertificate(ekCertificate)
  return verifyEkChain(ek, intermediates.map(parseCertificate), anchors, at, crypto)
}

/**
 * As `verifyEndorsement`, of certificates that were read.
 *
 * @throws {VouchsafeError} `endorsement.*`
 */
export async function verifyEkChain(
  ek: EkCertificate,
  intermediates: readonly Certificate[],
  anchors: readonly Anchor[],
  at: Date,
  crypto: CryptoPort,
  memo?: EndorsementMemo,
): Promise<VerifiedEndorsement> {
  const { anchor } = await verifyChain({
    leaf: ek.certificate,
    intermediates,
    anchors,
    at,
    crypto,
    leafKeyUsage: 'any', // RSA endorsement keys are for keyEncipherment, ECC ones for keyAgreement
    extendedKeyUsage: TCG_KP_EK_CERTIFICATE,
    revocation: 'not-checked', // makers publish no lists that a guest could carry; distrust rules do that work
    handledCritical: EK_HANDLED_CRITICAL,
    ...(memo && { memo }),
  })
  const simulated =
    ek.tpm?.manufacturer === SWTPM_MANUFACTURER ||
    ek.certificate.extensions.has(SIMULATOR_OID) ||
    anchor.certificate.extensions.has(SIMULATOR_OID)
  if (simulated && anchor.class !== 'simulated')
    throw new VouchsafeError(
      'endorsement.untrusted',
      `EK certificate: it is a software TPM’s, but anchor ${anchor.name} is of class ${anchor.class}`,
    )
  return { ek, anchor }
}

/** The id of a machine: derived from endorsement key and attestation key, so neither can be replaced under it (B14). */
export function machineId(ekSpki: Uint8Array, akName: Uint8Array, crypto: CryptoPort): string {
  return `tpm:${toBase64Url(transcript('vouchsafe/machine/v1', [ekSpki, akName], crypto))}`
}

/** What an enrolment is about; both sides compute it, neither sends it. */
export interface EnrolmentSubject {
  readonly brokerId: string
  readonly tenant: string
  readonly akName: Uint8Array
  readonly ekCertificateDigest: Uint8Array
  readonly nonce: string
}

/**
 * What the agent returns in place of the activated secret, so that nobody who relays the exchange learns anything that
 * works elsewhere (decision 5): HMAC-SHA256(secret, transcript), 32 bytes.
 */
export function enrolmentProof(secret: Uint8Array, subject: EnrolmentSubject, crypto: CryptoPort): Uint8Array {
  return crypto.hmac('sha256', secret, enrolmentTranscript(subject, crypto))
}

/** 32 bytes: also what the enrolment's first quote commits to. */
export function enrolmentTranscript(s: EnrolmentSubject, crypto: CryptoPort): Uint8Array {
  return transcript('vouchsafe/enrolment/v1', [s.brokerId, s.tenant, s.akName, s.ekCertificateDigest, s.nonce], crypto)
}
