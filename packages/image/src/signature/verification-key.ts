import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { ImageError } from '../errors.ts'

/** What a signature is made with. The names are those of Confidential Space, and like them for the others. */
export type SignatureAlgorithm =
  | 'ECDSA_P256_SHA256'
  | 'ECDSA_P384_SHA256'
  | 'ECDSA_P521_SHA256'
  | 'RSASSA_PKCS1V15_SHA256'
  | 'RSASSA_PSS_SHA256'
  | 'ED25519'

/** A public key that signatures are checked with. */
export interface VerificationKey {
  /** Lower-case hexadecimal SHA-256 of the DER SubjectPublicKeyInfo: the name of the key everywhere. */
  readonly id: string
  readonly spki: Uint8Array
  readonly key: KeyObject
  /** What a signature by this key is, unless it says otherwise. RSA keys sign PKCS #1 v1.5 by default. */
  readonly algorithm: SignatureAlgorithm
}

const CURVES: Readonly<Record<string, SignatureAlgorithm>> = {
  prime256v1: 'ECDSA_P256_SHA256',
  secp384r1: 'ECDSA_P384_SHA256',
  secp521r1: 'ECDSA_P521_SHA256',
}
const MAX_PEM_BYTES = 64 * 1024
/** Shorter RSA keys are refused; longer ones cost time that a stranger could ask for. */
const RSA_BITS = { least: 2048, most: 8192 } as const

/**
 * Reads one public key: a PEM file with exactly one block `PUBLIC KEY`.
 *
 * @throws {ImageError} `key.malformed`, `key.unsupported`.
 */
export function parsePublicKey(pem: Uint8Array | string, what = 'public key'): VerificationKey {
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1')
  if (text.length > MAX_PEM_BYTES) throw new ImageError('key.malformed', `${what}: over ${MAX_PEM_BYTES} bytes`)
  const match = /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(text)
  if (match === null) {
    const why = text.includes('PRIVATE KEY') ? 'holds a private key' : 'not one PEM block of PUBLIC KEY'
    throw new ImageError('key.malformed', `${what}: ${why}`)
  }
  let key: KeyObject
  try {
    key = createPublicKey(text)
  } catch (cause) {
    throw new ImageError('key.malformed', `${what}: not a public key`, { cause })
  }
  return verificationKey(key, what)
}

/** @throws {ImageError} `key.unsupported` */
export function verificationKey(given: KeyObject, what = 'public key'): VerificationKey {
  const algorithm = algorithmOf(given, what)
  // a point can be written compressed too: without one form for all, one key would have two names
  const key = algorithm.startsWith('ECDSA_')
    ? createPublicKey({ key: given.export({ format: 'jwk' }), format: 'jwk' })
    : given
  const spki = new Uint8Array(key.export({ format: 'der', type: 'spki' }))
  const id = createHash('sha256').update(spki).digest('hex')
  return { id, spki, key, algorithm }
}

function algorithmOf(key: KeyObject, what: string): SignatureAlgorithm {
  const details = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'ec': {
      const known = CURVES[details.namedCurve ?? '']
      if (known !== undefined) return known
      throw new ImageError(
        'key.unsupported',
        `${what}: curve ${details.namedCurve ?? '?'}; P-256, P-384, P-521 are known`,
      )
    }
    case 'rsa': {
      const { modulusLength: bits = 0, publicExponent = 0n } = details
      // by an exponent of one everything is signed, and an even one belongs to no key
      if (publicExponent < 3n || publicExponent % 2n === 0n)
        throw new ImageError('key.unsupported', `${what}: RSA with the public exponent ${publicExponent}`)
      if (bits >= RSA_BITS.least && bits <= RSA_BITS.most) return 'RSASSA_PKCS1V15_SHA256'
      throw new ImageError('key.unsupported', `${what}: RSA of ${bits} bits; ${RSA_BITS.least} to ${RSA_BITS.most}`)
    }
    case 'ed25519':
      return 'ED25519'
    default:
      throw new ImageError('key.unsupported', `${what}: ${key.asymmetricKeyType ?? 'unknown'} keys sign no images`)
  }
}

/** Over any curve SHA-256, as skopeo has it, and of the larger ones the hash of their own strength, as cosign 3 signs. */
const EC_HASHES: Partial<Record<SignatureAlgorithm, readonly string[]>> = {
  ECDSA_P384_SHA256: ['sha256', 'sha384'],
  ECDSA_P521_SHA256: ['sha256', 'sha512'],
}

/** True where `signature` is over exactly `data`. Never throws. */
export function isSignedBy(
  { key, algorithm }: VerificationKey,
  data: Uint8Array,
  signature: Uint8Array,
  chosen: SignatureAlgorithm = algorithm,
): boolean {
  if (!fits(algorithm, chosen)) return false
  try {
    if (chosen === 'ED25519') return verify(null, data, key, signature)
    if (chosen === 'RSASSA_PSS_SHA256')
      return verify('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature)
    if (chosen === 'RSASSA_PKCS1V15_SHA256')
      return verify('sha256', data, { key, padding: constants.RSA_PKCS1_PADDING }, signature)
    const hashes = EC_HASHES[chosen] ?? ['sha256']
    return hashes.some((hash) => verify(hash, data, { key, dsaEncoding: 'der' }, signature))
  } catch {
    return false // OpenSSL throws on a signature that is not even the right shape
  }
}

/** An RSA key signs in two ways; every other key in one. */
function fits(own: SignatureAlgorithm, chosen: SignatureAlgorithm): boolean {
  return own === chosen || (own === 'RSASSA_PKCS1V15_SHA256' && chosen === 'RSASSA_PSS_SHA256')
}
