import { CompactSign } from 'jose'
import type { CryptoKey } from 'jose'
import { utf8 } from '../base/encoding.ts'
import type { Digest } from '../base/digest.ts'
import { type AttestationResult, toSubmodules } from './attestation-result.ts'

export const TOKEN_TYPE = 'ear+jwt'
/** @source draft-ietf-rats-ear section 3.1 */
export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#01'
/** How long a token may be shown. Release looks at the agreement's standing again, so this bounds relay, not consent. */
export const TOKEN_LIFETIME_SECONDS = 300

/** What makes a token: everything beside the result itself. */
export interface TokenSubject {
  /** `vouchsafe:<profile>:<broker id>:<tenant>`: a simulated store can only ever sign as simulated (decision 9). */
  readonly issuer: string
  /** The one relying party: `<broker id>/<tenant>`. */
  readonly audience: string
  /** The attestation's id, 1:1 with a record in the ledger. */
  readonly id: string
  readonly nonce: string
  readonly session: string
  readonly agreement: Digest
  /** RFC 7638 thumbprint of the proof key. */
  readonly proofKey: string
  /** RFC 7638 thumbprint of the seal key. */
  readonly sealKey: string
}

/** A signer whose key never leaves its keeper. */
export interface TokenSigner {
  readonly kid: string
  readonly key: CryptoKey | Uint8Array
}

/** Signs an attestation result as an EAR, bound to the attester's proof key. An effect: not part of any replay. */
export async function issueToken(
  result: AttestationResult,
  subject: TokenSubject,
  at: Date,
  signer: TokenSigner,
): Promise<string> {
  const iat = Math.floor(at.getTime() / 1000)
  const payload = {
    eat_profile: EAR_PROFILE,
    iss: subject.issuer,
    aud: subject.audience,
    sub: result.claims.machine,
    jti: subject.id,
    iat,
    nbf: iat,
    exp: iat + TOKEN_LIFETIME_SECONDS,
    eat_nonce: subject.nonce,
    cnf: { jkt: subject.proofKey },
    'ear.verifier-id': { developer: 'vouchsafe', build: 'vouchsafe 0.1.0' },
    submods: toSubmodules(result, subject.agreement),
    'vouchsafe.session': subject.session,
    'vouchsafe.seal-key': subject.sealKey,
    'vouchsafe.simulated': result.claims.simulated,
  }
  return new CompactSign(utf8(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', typ: TOKEN_TYPE, kid: signer.kid })
    .sign(signer.key)
}
