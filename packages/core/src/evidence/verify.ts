import type { CryptoPort } from '../base/crypto.ts'
import { fromBase64 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { type P256Jwk, jwkThumbprint } from '../base/keys.ts'
import { anew } from '../base/once.ts'
import { parseDigest } from '../base/digest.ts'
import { evidenceBinding } from './binding.ts'
import { type AnchorClass, parseCertificate } from '../x509/index.ts'
import type { Enrolment, TpmEvidence } from './tpm/tpm-evidence.ts'
import { type Reuse, type VerifiedTpmEvidence, verifyTpmEvidence } from './tpm/verify-tpm-evidence.ts'

/** What was asked and shown. Everything is required; the guest's part and the broker's part are kept apart by name. */
export interface EvidenceRequest {
  readonly at: string
  readonly brokerId: string
  readonly tenant: string
  readonly session: string
  readonly nonce: string
  readonly nonceState: 'fresh' | 'unissued' | 'expired' | 'used'
  readonly sealKey: P256Jwk
  readonly proofKey: P256Jwk
  readonly agreementDigest: string
  readonly evidence: TpmEvidence
  readonly enrolment: Enrolment | null
  readonly anchors: readonly { readonly name: string; readonly class: AnchorClass; readonly certificate: string }[]
}

/**
 * Is the evidence well formed, authentic and made for this very request? What it must commit to is computed here from
 * the request, never read from the evidence.
 *
 * @param reuse - For many records of the same machines; left out, all is read and checked anew.
 * @throws {VouchsafeError} `evidence.*`, `endorsement.*`, `input.malformed`
 */
export async function verifyEvidence(
  input: EvidenceRequest,
  crypto: CryptoPort,
  reuse?: Reuse,
): Promise<VerifiedTpmEvidence> {
  const { once } = reuse ?? { once: anew }
  const binding = freshBinding(input, crypto)
  if (input.enrolment === null)
    throw new VouchsafeError(
      'evidence.unenrolled',
      `no machine with this attestation key is enrolled at tenant ${input.tenant}`,
    )
  const anchors = input.anchors.map(({ name, class: assurance, certificate }) => ({
    certificate: once('anchor', certificate, () => parseCertificate(fromBase64(certificate, 'anchor'))),
    class: assurance,
    name,
  }))
  return verifyTpmEvidence(
    input.evidence,
    { enrolment: input.enrolment, anchors, binding, at: new Date(input.at), ...(reuse && { reuse }) },
    crypto,
  )
}

/**
 * The 32 bytes that evidence for this request commits to, of whichever kind it is.
 *
 * @throws {VouchsafeError} `evidence.stale` unless the nonce is this broker's own, unused and in time
 */
export function freshBinding(input: Omit<EvidenceRequest, 'evidence'>, crypto: CryptoPort): Uint8Array {
  if (input.nonceState !== 'fresh')
    throw new VouchsafeError(
      'evidence.stale',
      `the nonce is ${input.nonceState}, wanted one that this broker issued for this session and that has not expired`,
    )
  return evidenceBinding(
    {
      role: 'attester',
      brokerId: input.brokerId,
      tenant: input.tenant,
      session: input.session,
      nonce: input.nonce,
      agreement: parseDigest(input.agreementDigest),
      sealKey: jwkThumbprint(input.sealKey, crypto),
      proofKey: jwkThumbprint(input.proofKey, crypto),
    },
    crypto,
  )
}
