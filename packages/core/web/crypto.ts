import { hmac } from '@noble/hashes/hmac.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import type { CryptoPort, HashName, PublicKey, SignatureScheme } from '../src/base/crypto.ts'
import { VouchsafeError } from '../src/base/errors.ts'
import { DerReader, TAG } from '../src/x509/index.ts'

const HASHES = { sha1, sha256, sha384, sha512 } as const
const WEB_HASHES = { sha1: 'SHA-1', sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' } as const
const DIGEST_BYTES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const

/** @source RFC 3279 section 2.3.1, RFC 5480 section 2.1.1, RFC 8410 section 3 */
const KEY_OIDS = { rsa: '1.2.840.113549.1.1.1', ec: '1.2.840.10045.2.1', ed25519: '1.3.101.112' } as const
const CURVE_OIDS = {
  '1.2.840.10045.3.1.7': 'P-256',
  '1.3.132.0.34': 'P-384',
  '1.3.132.0.35': 'P-521',
} as const
const FIELD_BYTES = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const

type WebAlgorithm = RsaHashedImportParams | EcKeyImportParams | { readonly name: 'Ed25519' }

/** Imported keys by algorithm name and hash: WebCrypto binds an RSA key to one of each. */
const imported = new WeakMap<PublicKey, Map<string, Promise<CryptoKey>>>()

/**
 * The implementation of the crypto port for browsers, Deno, Bun and workers: WebCrypto for signatures, @noble/hashes for
 * hashing, which has to be synchronous. It accepts and refuses what `nodeCrypto` does.
 */
export const webCrypto = {
  digest(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
    const h = HASHES[hash].create()
    for (const part of parts) h.update(part)
    return h.digest()
  },

  hmac(hash: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
    const h = hmac.create(HASHES[hash], key)
    for (const part of parts) h.update(part)
    return h.digest()
  },

  async importPublicKey(spki: Uint8Array): Promise<PublicKey> {
    const key: PublicKey = Object.freeze({ spki: new Uint8Array(spki), algorithm: algorithmOf(spki) })
    imported.set(key, new Map())
    try {
      await importFor(key, FIRST_IMPORT[key.algorithm.kind])
    } catch (cause) {
      throw new VouchsafeError('input.malformed', 'SubjectPublicKeyInfo: not a public key', { cause })
    }
    return key
  },

  async verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (!imported.has(key)) throw new VouchsafeError('internal', 'public key was not imported by this port')
    if (FITS[scheme.kind] !== key.algorithm.kind) return false
    const raw = rawSignature(key, scheme, signature)
    if (raw === null) return false
    try {
      return await crypto.subtle.verify(paramsOf(scheme), await importFor(key, scheme), whole(raw), whole(data))
    } catch {
      return false // as OpenSSL, WebCrypto throws on some malformed signatures; the contract says they do not verify
    }
  },

  equal(a: Uint8Array, b: Uint8Array): boolean {
    if (a.length !== b.length) return false
    let difference = 0
    for (const [i, byte] of a.entries()) difference |= byte ^ (b[i] ?? 0)
    return difference === 0
  },
} satisfies CryptoPort

const FITS = { 'rsa-pkcs1': 'rsa', 'rsa-pss': 'rsa', ecdsa: 'ec', ed25519: 'ed25519' } as const
const FIRST_IMPORT: Readonly<Record<PublicKey['algorithm']['kind'], SignatureScheme>> = {
  rsa: { kind: 'rsa-pkcs1', hash: 'sha256' },
  ec: { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' },
  ed25519: { kind: 'ed25519' },
}

function importFor(key: PublicKey, scheme: SignatureScheme): Promise<CryptoKey> {
  const keys = imported.get(key) ?? new Map<string, Promise<CryptoKey>>()
  const algorithm = importParamsOf(key, scheme)
  const name = JSON.stringify(algorithm)
  const known = keys.get(name) ?? crypto.subtle.importKey('spki', whole(key.spki), algorithm, false, ['verify'])
  keys.set(name, known)
  return known
}

function importParamsOf(key: PublicKey, scheme: SignatureScheme): WebAlgorithm {
  if (key.algorithm.kind === 'ec') return { name: 'ECDSA', namedCurve: key.algorithm.curve }
  switch (scheme.kind) {
    case 'rsa-pkcs1':
      return { name: 'RSASSA-PKCS1-v1_5', hash: WEB_HASHES[scheme.hash] }
    case 'rsa-pss':
      return { name: 'RSA-PSS', hash: WEB_HASHES[scheme.hash] }
    default:
      return { name: 'Ed25519' }
  }
}

function paramsOf(scheme: SignatureScheme): AlgorithmIdentifier | RsaPssParams | EcdsaParams {
  switch (scheme.kind) {
    case 'rsa-pkcs1':
      return 'RSASSA-PKCS1-v1_5'
    case 'rsa-pss':
      return { name: 'RSA-PSS', saltLength: scheme.saltBytes ?? DIGEST_BYTES[scheme.hash] }
    case 'ecdsa':
      return { name: 'ECDSA', hash: WEB_HASHES[scheme.hash] }
    case 'ed25519':
      return 'Ed25519'
  }
}

/** WebCrypto takes ECDSA as r‖s only. @returns null for what is no signature of that length or encoding */
function rawSignature(key: PublicKey, scheme: SignatureScheme, signature: Uint8Array): Uint8Array | null {
  if (scheme.kind !== 'ecdsa' || key.algorithm.kind !== 'ec') return signature
  const size = FIELD_BYTES[key.algorithm.curve]
  if (scheme.encoding === 'raw') return signature.length === 2 * size ? signature : null
  try {
    const outer = new DerReader('ECDSA signature', signature)
    const pair = outer.sequence('signature')
    const raw = new Uint8Array(2 * size)
    for (const [i, name] of ['r', 's'].entries()) {
      const content = pair.integer(name)
      if ((content[0] ?? 0) >= 0x80) return null
      const value = content[0] === 0 ? content.subarray(1) : content
      if (value.length > size) return null
      raw.set(value, (i + 1) * size - value.length)
    }
    return pair.done && outer.done ? raw : null
  } catch {
    return null
  }
}

/** What a SubjectPublicKeyInfo says its key is. @source RFC 5280 section 4.1.2.7 */
function algorithmOf(spki: Uint8Array): PublicKey['algorithm'] {
  let oid: string
  let parameter: string | null
  let bits: Uint8Array
  try {
    const outer = new DerReader('SubjectPublicKeyInfo', spki)
    const info = outer.sequence('SubjectPublicKeyInfo')
    const identifier = info.sequence('algorithm')
    oid = identifier.oid('algorithm')
    parameter = identifier.peek() === TAG.oid ? identifier.oid('parameters') : null
    bits = info.bitStringOctets('subjectPublicKey')
    if (!info.done || !outer.done) throw info.malformed('end', 'bytes are left over')
  } catch (cause) {
    throw new VouchsafeError('input.malformed', 'SubjectPublicKeyInfo: not a public key', { cause })
  }
  switch (oid) {
    case KEY_OIDS.rsa: {
      const modulusBits = modulusBitsOf(bits)
      if (modulusBits < 2048)
        throw new VouchsafeError('evidence.algorithm', `RSA key of ${modulusBits} bits, wanted at least 2048`)
      return { kind: 'rsa', modulusBits }
    }
    case KEY_OIDS.ec: {
      const curve = CURVE_OIDS[parameter as keyof typeof CURVE_OIDS]
      if (curve === undefined)
        throw new VouchsafeError('evidence.algorithm', `curve ${parameter}, wanted P-256, P-384 or P-521`)
      return { kind: 'ec', curve }
    }
    case KEY_OIDS.ed25519:
      return { kind: 'ed25519' }
    default:
      throw new VouchsafeError('evidence.algorithm', `key type ${oid}, wanted RSA, EC or Ed25519`)
  }
}

function modulusBitsOf(bits: Uint8Array): number {
  try {
    const modulus = new DerReader('RSAPublicKey', bits).sequence('RSAPublicKey').integer('modulus')
    const [first = 0, second = 0] = modulus
    const significant = first === 0 ? modulus.length - 1 : modulus.length
    return 8 * significant - Math.clz32(first === 0 ? second : first) + 24
  } catch (cause) {
    throw new VouchsafeError('input.malformed', 'SubjectPublicKeyInfo: not an RSA key', { cause })
  }
}

/** Bytes in a buffer of their own, which is what WebCrypto’s types ask for. */
function whole(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}
