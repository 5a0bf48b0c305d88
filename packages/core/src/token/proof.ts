import { CompactSign } from 'jose'
import type { CryptoKey } from 'jose'
import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { toBase64Url, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { type P256Jwk, jwkThumbprint, p256JwkSchema } from '../base/keys.ts'
import { readJws, verifyJws } from './jws.ts'

export const PROOF_TYPE = 'vouchsafe-proof+jwt'

/** What one proof speaks for: this request with this body, under this token, once. */
export interface ProofSubject {
  readonly method: string
  readonly path: string
  /** The exact body bytes. */
  readonly body: Uint8Array
  readonly token: string
  /** Issued by the relying party for this request; consumed with it. */
  readonly nonce: string
}

const payloadSchema = z.strictObject({
  htm: z.string(),
  htu: z.string(),
  ath: z.string().length(43),
  bdh: z.string().length(43),
  nonce: z.string().min(1).max(512),
})

/** Proves possession of the proof key for one request. The same idea as DPoP (RFC 9449), with the body covered. */
export async function signProof(
  subject: ProofSubject,
  jwk: P256Jwk,
  key: CryptoKey,
  crypto: CryptoPort,
): Promise<string> {
  const payload = {
    htm: subject.method,
    htu: subject.path,
    ath: hash(utf8(subject.token), crypto),
    bdh: hash(subject.body, crypto),
    nonce: subject.nonce,
  }
  return new CompactSign(utf8(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', typ: PROOF_TYPE, jwk })
    .sign(key)
}

/**
 * @param keyThumbprint - `cnf.jkt` of the verified token: the one key that counts. The header's key is only looked at
 *   after its thumbprint equals this.
 * @throws {VouchsafeError} `token.proof`
 */
export async function verifyProof(
  proof: string,
  subject: ProofSubject,
  keyThumbprint: string,
  crypto: CryptoPort,
): Promise<void> {
  const { header, payload } = asProofError(() => readJws(proof, PROOF_TYPE, ['jwk']))
  const jwk = p256JwkSchema.safeParse(header['jwk'])
  if (!jwk.success) throw new VouchsafeError('token.proof', 'the proof’s key is not an EC P-256 public key')
  const thumbprint = jwkThumbprint(jwk.data, crypto)
  if (thumbprint !== keyThumbprint)
    throw new VouchsafeError('token.proof', `proved with key ${thumbprint}, the token is bound to ${keyThumbprint}`)
  try {
    await verifyJws(proof, jwk.data)
  } catch (cause) {
    throw new VouchsafeError('token.proof', 'the proof is not signed by the key it names', { cause })
  }
  const said = payloadSchema.safeParse(payload)
  if (!said.success) throw new VouchsafeError('token.proof', 'the proof’s payload breaks its profile')
  const wanted = {
    htm: subject.method,
    htu: subject.path,
    ath: hash(utf8(subject.token), crypto),
    bdh: hash(subject.body, crypto),
    nonce: subject.nonce,
  }
  for (const name of ['htm', 'htu', 'ath', 'bdh', 'nonce'] as const) {
    if (said.data[name] !== wanted[name])
      throw new VouchsafeError('token.proof', `the proof is for another request: ${name} differs`)
  }
}

function hash(bytes: Uint8Array, crypto: CryptoPort): string {
  return toBase64Url(crypto.digest('sha256', bytes))
}

function asProofError<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new VouchsafeError('token.proof', cause instanceof Error ? cause.message : 'unreadable proof', { cause })
  }
}

/** The nonce that a proof claims to use, unverified: enough to look it up before the proof is checked. Null when unreadable. */
export function claimedNonce(proof: string): string | null {
  try {
    const nonce = readJws(proof, PROOF_TYPE, ['jwk']).payload['nonce']
    return typeof nonce === 'string' ? nonce : null
  } catch {
    return null // an unreadable proof claims nothing; verifyProof says why
  }
}
