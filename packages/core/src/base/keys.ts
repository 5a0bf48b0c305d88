import { z } from 'zod'
import type { CryptoPort } from './crypto.ts'
import { concat, fromBase64Url, fromHex, toBase64Url, utf8 } from './encoding.ts'
import { VouchsafeError } from './errors.ts'

const ED25519_SPKI = fromHex('302a300506032b6570032100')
const P256_SPKI = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200')

/** DER SubjectPublicKeyInfo of a raw Ed25519 public key of 32 bytes. @source RFC 8410 section 4 */
export function spkiOfEd25519(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  if (raw.length !== 32)
    throw new VouchsafeError('input.malformed', `Ed25519 public key: ${raw.length} bytes, wanted 32`)
  return concat(ED25519_SPKI, raw)
}

/** An EC P-256 public key as JWK with exactly these members. */
export const p256JwkSchema = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string().length(43),
  y: z.string().length(43),
})
export type P256Jwk = z.infer<typeof p256JwkSchema>

/** DER SubjectPublicKeyInfo of a P-256 JWK. The port checks that the point is on the curve. @source RFC 5480 section 2 */
export function spkiOfP256(jwk: P256Jwk): Uint8Array<ArrayBuffer> {
  return concat(P256_SPKI, Uint8Array.of(4), fromBase64Url(jwk.x, 'jwk.x'), fromBase64Url(jwk.y, 'jwk.y'))
}

/** RFC 7638 thumbprint with SHA-256, base64url: 43 characters. */
export function jwkThumbprint(jwk: P256Jwk, crypto: CryptoPort): string {
  return toBase64Url(crypto.digest('sha256', utf8(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }))))
}

/** An Ed25519 public key as text: `ed25519:` and base64url of its 32 bytes. How owners' keys are written everywhere. */
export const ownerKeySchema = z
  .string()
  .regex(/^ed25519:[A-Za-z0-9_-]{43}$/, 'wanted ed25519: and 43 characters of base64url')

export function parseOwnerKey(text: string): Uint8Array<ArrayBuffer> {
  if (!text.startsWith('ed25519:'))
    throw new VouchsafeError('input.malformed', 'owner key: wanted ed25519: and 43 characters of base64url')
  const raw = fromBase64Url(text.slice('ed25519:'.length), 'owner key')
  if (raw.length !== 32) throw new VouchsafeError('input.malformed', `owner key: ${raw.length} bytes, wanted 32`)
  return raw
}

export function formatOwnerKey(raw: Uint8Array): string {
  return `ed25519:${toBase64Url(raw)}`
}
