import { type ErrorCode, VouchsafeError } from '@vouchsafe/core'

/** Why a token is refused, finer than the code: what its bearer can do about it. */
export const OIDC_REASONS = {
  malformed: 'token.malformed',
  algorithm: 'token.malformed',
  issuer: 'token.issuer',
  audience: 'token.audience',
  'unknown-key': 'token.signature',
  signature: 'token.signature',
  'not-yet-valid': 'token.expired',
  expired: 'token.expired',
  lifetime: 'token.malformed',
  claims: 'request.forbidden',
  nonce: 'evidence.stale',
  replayed: 'token.replayed',
  'keys-unavailable': 'peer.unreachable',
  'keys-untrusted': 'peer.untrusted',
} as const satisfies Readonly<Record<string, ErrorCode>>
export type OidcReason = keyof typeof OIDC_REASONS

/** A token that is not believed, or cannot be judged now. Its message is for the server's log, its reason for the bearer. */
export class OidcRefusal extends VouchsafeError {
  readonly reason: OidcReason
  constructor(reason: OidcReason, message: string, options?: ErrorOptions) {
    super(OIDC_REASONS[reason], message, options)
    this.reason = reason
  }
}
