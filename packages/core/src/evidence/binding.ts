import type { CryptoPort } from '../base/crypto.ts'
import type { Digest } from '../base/digest.ts'
import { transcript } from '../base/transcript.ts'

/** What a guest agent's evidence commits to (decision 6). Every member is required: leaving one out is not possible. */
export interface EvidenceBinding {
  /** `attester`: the guest shows evidence to a broker. The only role today; a reflected transcript has another (A12). */
  readonly role: 'attester'
  /** The broker that issued the nonce. */
  readonly brokerId: string
  readonly tenant: string
  /** Chosen by the guest, 16 to 64 characters; ties nonce and request together (A03). */
  readonly session: string
  /** As issued by the broker. */
  readonly nonce: string
  readonly agreement: Digest
  /** RFC 7638 thumbprint of the key to which secrets will be sealed, base64url. */
  readonly sealKey: string
  /** RFC 7638 thumbprint of the key to which the token will be bound, base64url. */
  readonly proofKey: string
}

/** 32 bytes for the evidence's user data: a quote's extraData, a report's REPORT_DATA. */
export function evidenceBinding(b: EvidenceBinding, crypto: CryptoPort): Uint8Array {
  return transcript(
    'vouchsafe/evidence/v1',
    [b.role, b.brokerId, b.tenant, b.session, b.nonce, b.agreement, b.sealKey, b.proofKey],
    crypto,
  )
}

/**
 * What evidence commits to when a workload asks for it. Another tag than the agent's own, so that no workload can
 * obtain evidence that a broker would take for the agent's (A16).
 */
export function workloadEvidenceBinding(userData: Uint8Array, crypto: CryptoPort): Uint8Array {
  return transcript('vouchsafe/workload-evidence/v1', [userData], crypto)
}
