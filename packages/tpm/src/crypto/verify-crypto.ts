import { constants, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { TpmError } from '../codec/errors.ts'
import type { PublicKey, VerifyCrypto } from '../verify/crypto.ts'
import { digest, hmac } from './digest.ts'
import { importSpki } from './import-spki.ts'

const CURVES = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' } as const

/** A key is parsed by OpenSSL once; its public view is what callers hold. */
const keyObjects = new WeakMap<PublicKey, KeyObject>()

/** The verifier's cryptography on node:crypto. */
export const nodeVerifyCrypto: VerifyCrypto = {
  digest,
  hmac,

  importPublicKey(spki) {
    const object = importSpki(spki)
    const key = Object.freeze({ spki: new Uint8Array(spki), algorithm: algorithmOf(object) })
    keyObjects.set(key, object)
    return key
  },

  verify(key, scheme, data, signature) {
    const object = keyObjects.get(key)
    if (object === undefined) throw new TpmError('internal', 'the key was imported elsewhere')
    try {
      switch (scheme.kind) {
        case 'rsa-pkcs1':
          return isKind(key, 'rsa') && verify(scheme.hash, data, object, signature)
        case 'rsa-pss': {
          const saltLength = scheme.saltBytes ?? constants.RSA_PSS_SALTLEN_DIGEST
          const options = { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
          return isKind(key, 'rsa') && verify(scheme.hash, data, options, signature)
        }
        case 'ecdsa': {
          const dsaEncoding = scheme.encoding === 'raw' ? 'ieee-p1363' : 'der'
          return isKind(key, 'ec') && verify(scheme.hash, data, { key: object, dsaEncoding }, signature)
        }
        case 'ed25519':
          return isKind(key, 'ed25519') && verify(null, data, object, signature)
      }
    } catch {
      return false // OpenSSL throws on some malformed signatures; the contract says they do not verify
    }
  },
}

function isKind(key: PublicKey, kind: PublicKey['algorithm']['kind']): boolean {
  return key.algorithm.kind === kind
}

function algorithmOf(object: KeyObject): PublicKey['algorithm'] {
  const { modulusLength, namedCurve } = object.asymmetricKeyDetails ?? {}
  if (object.asymmetricKeyType === 'rsa') return { kind: 'rsa', modulusBits: modulusLength ?? 0 }
  if (object.asymmetricKeyType === 'ed25519') return { kind: 'ed25519' }
  const curve = CURVES[namedCurve as keyof typeof CURVES]
  if (object.asymmetricKeyType === 'ec' && curve !== undefined) return { kind: 'ec', curve }
  throw new TpmError('evidence.algorithm', `${object.asymmetricKeyType} ${namedCurve ?? ''} keys are not supported`)
}
