import { textToBytes } from '../../value/index.ts'
import { equalBytes, hmacOf, type HashName } from '../digests.ts'

/** Asymmetric signature algorithms, by their JOSE names; ECDSA signatures are r ‖ s. */
export type SignatureAlgorithm =
  'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA'

const NAMES: readonly SignatureAlgorithm[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]

export const ASYMMETRIC: ReadonlyMap<string, SignatureAlgorithm> = new Map(NAMES.map((name) => [name, name]))

export const HMAC_HASHES: ReadonlyMap<string, HashName> = new Map([
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
])

/** Does the signature authenticate what was signed? */
export function isHmacFor(
  hash: HashName,
  secret: string,
  token: { readonly signed: Uint8Array; readonly signature: Uint8Array },
): boolean {
  return equalBytes(hmacOf(hash, textToBytes(secret), token.signed), token.signature)
}
