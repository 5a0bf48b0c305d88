import {
  createHash,
  createHmac,
  createPublicKey,
  hash as oneShot,
  timingSafeEqual,
  verify,
  constants,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { CryptoPort, HashName, PublicKey, SignatureScheme } from '../src/base/crypto.ts'
import { VouchsafeError } from '../src/base/errors.ts'

const CURVES = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' } as const

/** Key objects beside their public view, so that a key is parsed by OpenSSL once. */
const keyObjects = new WeakMap<PublicKey, KeyObject>()

/** The fast implementation of the crypto port: `node:crypto`, synchronous throughout. */
export const nodeCrypto = {
  digest(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
    const [first] = parts
    // one-shot hashing is four times faster for the small inputs of logs and trees
    if (parts.length === 1 && first !== undefined) return bytes(oneShot(hash, first, 'buffer'))
    const h = createHash(hash)
    for (const part of parts) h.update(part)
    return bytes(h.digest())
  },

  hmac(hash: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
    const h = createHmac(hash, key)
    for (const part of parts) h.update(part)
    return bytes(h.digest())
  },

  importPublicKey(spki: Uint8Array): PublicKey {
    let object: KeyObject
    try {
      object = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    } catch (cause) {
      throw new VouchsafeError('input.malformed', 'SubjectPublicKeyInfo: not a public key', { cause })
    }
    const key: PublicKey = Object.freeze({
      spki: new Uint8Array(spki),
      algorithm: namedCurve(spki) ?? algorithmOf(object),
    })
    keyObjects.set(key, object)
    return key
  },

  verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean {
    const object = keyObjects.get(key)
    if (object === undefined) throw new VouchsafeError('internal', 'public key was not imported by this port')
    try {
      switch (scheme.kind) {
        case 'rsa-pkcs1':
          return (
            key.algorithm.kind === 'rsa' &&
            verify(scheme.hash, data, { key: object, padding: constants.RSA_PKCS1_PADDING }, signature)
          )
        case 'rsa-pss': {
          const saltLength = scheme.saltBytes ?? constants.RSA_PSS_SALTLEN_DIGEST
          const options = { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
          return key.algorithm.kind === 'rsa' && verify(scheme.hash, data, options, signature)
        }
        case 'ecdsa': {
          const dsaEncoding = scheme.encoding === 'raw' ? 'ieee-p1363' : 'der'
          return key.algorithm.kind === 'ec' && verify(scheme.hash, data, { key: object, dsaEncoding }, signature)
        }
        case 'ed25519':
          return key.algorithm.kind === 'ed25519' && verify(null, data, object, signature)
      }
    } catch {
      return false // OpenSSL throws on some malformed signatures; the contract says they do not verify
    }
  },

  equal(a: Uint8Array, b: Uint8Array): boolean {
    return a.length === b.length && timingSafeEqual(a, b)
  },
} satisfies CryptoPort

/** SubjectPublicKeyInfo of uncompressed points, up to the point. @source RFC 5480 section 2 */
const EC_PREFIXES = [
  ['P-256', 91, '3059301306072a8648ce3d020106082a8648ce3d03010703420004'],
  ['P-384', 120, '3076301006072a8648ce3d020106052b8104002203620004'],
  ['P-521', 158, '30819b301006072a8648ce3d020106052b810400230381860004'],
] as const
const EC_BYTES = EC_PREFIXES.map(([curve, length, prefix]) => ({ curve, length, prefix: Buffer.from(prefix, 'hex') }))

/** The curve by the encoding: once OpenSSL has accepted it, asking OpenSSL would cost as much as the import did. */
function namedCurve(spki: Uint8Array): PublicKey['algorithm'] | undefined {
  const found = EC_BYTES.find(
    ({ length, prefix }) => spki.length === length && prefix.every((byte, i) => spki[i] === byte),
  )
  return found && { kind: 'ec', curve: found.curve }
}

function algorithmOf(object: KeyObject): PublicKey['algorithm'] {
  const details = object.asymmetricKeyDetails
  switch (object.asymmetricKeyType) {
    case 'rsa': {
      const modulusBits = details?.modulusLength ?? 0
      if (modulusBits < 2048)
        throw new VouchsafeError('evidence.algorithm', `RSA key of ${modulusBits} bits, wanted at least 2048`)
      return { kind: 'rsa', modulusBits }
    }
    case 'ec': {
      const curve = CURVES[details?.namedCurve as keyof typeof CURVES]
      if (curve === undefined)
        throw new VouchsafeError('evidence.algorithm', `curve ${details?.namedCurve}, wanted P-256, P-384 or P-521`)
      return { kind: 'ec', curve }
    }
    case 'ed25519':
      return { kind: 'ed25519' }
    default:
      throw new VouchsafeError('evidence.algorithm', `key type ${object.asymmetricKeyType}, wanted RSA, EC or Ed25519`)
  }
}

/** A plain Uint8Array of its own memory: Buffers share a pool and alias on slice(). */
function bytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer)
}
