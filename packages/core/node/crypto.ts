import {
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  hash as oneShot,
  timingSafeEqual,
  verify,
  constants,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { CryptoPort, HashName, PublicKey, SignatureScheme } from '../src/base/crypto.ts'
import { VouchsafeError } from '../src/base/errors.ts'

const CURVES = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' } as const

/** A key with OpenSSL's own form of it, so that it is parsed once. */
class ImportedKey implements PublicKey {
  readonly spki: Uint8Array
  readonly algorithm: PublicKey['algorithm']
  readonly #object: KeyObject

  constructor(spki: Uint8Array, algorithm: PublicKey['algorithm'], object: KeyObject) {
    this.spki = spki
    this.algorithm = algorithm
    this.#object = object
    Object.freeze(this)
  }

  static objectOf(key: PublicKey): KeyObject | undefined {
    return #object in key ? key.#object : undefined
  }
}

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
    const h = createHmac(hash, createSecretKey(key)) // a key object: see `toPem`
    for (const part of parts) h.update(part)
    return bytes(h.digest())
  },

  importPublicKey(spki: Uint8Array): PublicKey {
    const usual = usualAlgorithm(spki)
    let object: KeyObject
    try {
      // OpenSSL reads the bare RSA key, which is all that follows the usual head, in half the time
      const isUsualRsa = usual?.kind === 'rsa'
      object = createPublicKey(
        isUsualRsa ? toPem('RSA PUBLIC KEY', spki.subarray(RSA_HEAD_BYTES)) : toPem('PUBLIC KEY', spki),
      )
    } catch (cause) {
      throw new VouchsafeError('input.malformed', 'SubjectPublicKeyInfo: not a public key', { cause })
    }
    return new ImportedKey(new Uint8Array(spki), usual ?? algorithmOf(object), object)
  },

  verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean {
    const object = ImportedKey.objectOf(key)
    if (object === undefined) throw new VouchsafeError('internal', 'public key was not imported by this port')
    try {
      switch (scheme.kind) {
        case 'rsa-pkcs1':
          return key.algorithm.kind === 'rsa' && verify(scheme.hash, data, padded(object, PKCS1), signature)
        case 'rsa-pss': {
          const saltLength = scheme.saltBytes ?? constants.RSA_PSS_SALTLEN_DIGEST
          const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
          return key.algorithm.kind === 'rsa' && verify(scheme.hash, data, padded(object, padding), signature)
        }
        case 'ecdsa': {
          if (key.algorithm.kind !== 'ec') return false
          const der = scheme.encoding === 'raw' ? derOfRaw(signature, FIELD_BYTES[key.algorithm.curve]) : signature
          return der !== null && verify(scheme.hash, data, object, der)
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

const PKCS1 = { padding: constants.RSA_PKCS1_PADDING, saltLength: undefined }

/**
 * The key with the padding written on it, each time anew. Node reads both of whatever object it is given as key; of an
 * object with the key inside it first asks whether that is itself a key, twice, and each no is an exception with its stack:
 * a quarter of what a check costs. A Node that would not read them here takes PKCS #1, and refuses everything of AMD.
 */
function padded(object: KeyObject, padding: { padding: number; saltLength: number | undefined }): KeyObject {
  return Object.assign(object, padding)
}

const FIELD_BYTES = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const

/**
 * r and s as DER writes them. Node takes them raw as well, but only from a key among options: see `padded`.
 *
 * @source RFC 3279 section 2.2.3 (ECDSA-Sig-Value)
 */
function derOfRaw(raw: Uint8Array, field: number): Uint8Array | null {
  if (raw.length !== 2 * field) return null
  const [r, s] = [significant(raw, 0, field), significant(raw, field, raw.length)]
  const [rBytes, sBytes] = [integerBytes(raw, r, field), integerBytes(raw, s, raw.length)]
  const length = 4 + rBytes + sBytes
  const head = length < 0x80 ? 2 : 3
  const der = new Uint8Array(head + length)
  der[0] = 0x30
  der[1] = 0x81 // stands where the length is too long for one byte
  der[head - 1] = length
  putInteger(der, head, raw, r, field, rBytes)
  putInteger(der, head + 2 + rBytes, raw, s, raw.length, sBytes)
  return der
}

/** Where the number that ends before `end` begins: past leading zeros, its last byte at the latest. */
function significant(raw: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end - 1 && raw[at] === 0) at++
  return at
}

/** One more where the first bit is set, since that would make it negative. */
function integerBytes(raw: Uint8Array, from: number, end: number): number {
  return end - from + ((raw[from] ?? 0) >> 7)
}

function putInteger(der: Uint8Array, at: number, raw: Uint8Array, from: number, end: number, bytes: number): void {
  der[at] = 0x02
  der[at + 1] = bytes
  const to = at + 2 + bytes - (end - from)
  for (let i = from; i < end; i++) der[to + i - from] = raw[i] ?? 0
}

/**
 * As text, which Node takes for a key at once. Of an object it first asks whether it is one of four kinds of keys, and each
 * no is an exception with its stack: that takes twice as long as reading the key.
 */
function toPem(label: string, der: Uint8Array): string {
  const { buffer, byteOffset, length } = der
  return `-----BEGIN ${label}-----\n${Buffer.from(buffer, byteOffset, length).toString('base64')}\n-----END ${label}-----\n`
}

/**
 * SubjectPublicKeyInfo of uncompressed points up to the point, and of RSA keys with an exponent of three bytes up to the
 * modulus, whose first bit must be set. @source RFC 5480 section 2, RFC 3279 section 2.3.1
 */
const USUAL_KEYS = (
  [
    [{ kind: 'ec', curve: 'P-256' }, 91, '3059301306072a8648ce3d020106082a8648ce3d03010703420004'],
    [{ kind: 'ec', curve: 'P-384' }, 120, '3076301006072a8648ce3d020106052b8104002203620004'],
    [{ kind: 'ec', curve: 'P-521' }, 158, '30819b301006072a8648ce3d020106052b810400230381860004'],
    [{ kind: 'rsa', modulusBits: 2048 }, 294, '30820122300d06092a864886f70d01010105000382010f003082010a0282010100'],
    [{ kind: 'rsa', modulusBits: 3072 }, 422, '308201a2300d06092a864886f70d01010105000382018f003082018a0282018100'],
    [{ kind: 'rsa', modulusBits: 4096 }, 550, '30820222300d06092a864886f70d01010105000382020f003082020a0282020100'],
  ] as const
).map(([algorithm, length, prefix]) => ({ algorithm, length, prefix: Buffer.from(prefix, 'hex') }))

/** Of an RSA key's SubjectPublicKeyInfo: two lengths, the algorithm, and the bit string's head. */
const RSA_HEAD_BYTES = 24

/** What the encoding says: once OpenSSL has accepted it, asking OpenSSL would cost as much as the import did. */
function usualAlgorithm(spki: Uint8Array): PublicKey['algorithm'] | undefined {
  const found = USUAL_KEYS.find(({ length, prefix }) => spki.length === length && startsWith(spki, prefix))
  if (found?.algorithm.kind === 'rsa' && (spki[found.prefix.length] ?? 0) < 0x80) return undefined
  return found?.algorithm
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false
  return true
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
