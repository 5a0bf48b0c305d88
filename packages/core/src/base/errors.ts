/**
 * Every code that vouchsafe answers with, and what it means. Codes are API: add freely, never rename or reuse.
 * `docs/reference/errors.md` is generated from this table.
 */
export const ERROR_CODES = {
  'input.malformed': 'Bytes, JSON or options do not have the form their schema gives.',
  'input.too-large': 'The input is larger than the limit stated for it.',
  'input.unknown-member': 'A member was given that the schema does not name.',

  'evidence.signature': 'The signature does not verify under the endorsed key.',
  'evidence.stale': 'The nonce in the evidence was not issued, has expired, or was used before.',
  'evidence.binding': 'The evidence does not commit to the transcript of this request.',
  'evidence.unsupported': 'The evidence format is not one that this verifier can judge.',
  'evidence.mismatch': 'Parts of the evidence contradict each other.',
  'evidence.algorithm': 'An algorithm that is too weak or not allowed was used.',
  'evidence.key': 'The attestation key is not restricted, fixed to its TPM and for signing.',
  'evidence.pcr-selection': 'The quote does not cover exactly the registers that are needed.',
  'evidence.log': 'The event log does not replay to the quoted registers, or breaks its grammar.',
  'evidence.unenrolled': 'The attestation key was never enrolled with its endorsement key.',
  'evidence.revoked': 'The platform or key was distrusted.',

  'endorsement.unavailable': 'Vendor collateral is missing or past its nextUpdate.',
  'endorsement.untrusted': 'The certificate chain does not end in a configured anchor.',
  'endorsement.expired': 'A certificate or collateral is not valid at the stated time.',
  'endorsement.revoked': 'A certificate is on its issuer’s revocation list.',
  'endorsement.mismatch': 'The endorsement is genuine, but for another chip, key, product or TCB.',
  'endorsement.malformed': 'A certificate, revocation list or collateral document breaks its profile.',

  internal: 'A bug. Logged in full, sent to a peer as this code only.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** The one error of `core` and of everything above it. */
export class VouchsafeError extends Error {
  override readonly name = 'VouchsafeError'
  readonly code: ErrorCode
  /** @param message - For an operator: what was found, what was wanted, and where. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
