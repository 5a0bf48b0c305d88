import { Secret, toBase64, utf8 } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { member } from '../oci/json.ts'
import { malformed, readBase64, readEncryptionJson, readObject } from './read-json.ts'

/** The one cipher that ocicrypt has. */
const CIPHER = 'AES_256_CTR_HMAC_SHA256'
export const KEY_BYTES = 32
export const NONCE_BYTES = 16
const HMAC_BYTES = 32

/** What is wrapped to every recipient of a layer. */
export interface PrivateOptions {
  /** Key of both the cipher and the HMAC. */
  readonly symmetricKey: Secret
  /** Of the plain blob as it was stored: compressed, where the layer is. */
  readonly digest: Digest
  /** First counter block, 16 bytes, big-endian. */
  readonly nonce: Uint8Array
}

/** What stands in the manifest for all to see, and to change. */
export interface PublicOptions {
  /** HMAC-SHA256 over the ciphertext, and nothing else. */
  readonly hmac: Uint8Array
}

/**
 * Reads what a key unwrapped to. Members in any order: Go and Rust write different ones.
 *
 * @throws {ImageError} `encryption.malformed`. No message carries a value.
 */
export function parsePrivateOptions(bytes: Uint8Array, what: string): PrivateOptions {
  const object = readEncryptionJson(bytes, what)
  const cipherOptions = readObject(member(object, 'cipheroptions'), `${what}.cipheroptions`)
  const symmetricKey = readBase64(member(object, 'symkey'), `${what}.symkey`, KEY_BYTES)
  return {
    symmetricKey: new Secret(symmetricKey),
    digest: readDigest(member(object, 'digest'), `${what}.digest`),
    nonce: readBase64(member(cipherOptions, 'nonce'), `${what}.cipheroptions.nonce`, NONCE_BYTES),
  }
}

/** In the order that Go writes them. */
export function privateOptionsBytes(options: PrivateOptions): Uint8Array<ArrayBuffer> {
  return utf8(
    JSON.stringify({
      symkey: toBase64(options.symmetricKey.expose()),
      digest: options.digest,
      cipheroptions: { nonce: toBase64(options.nonce) },
    }),
  )
}

/**
 * Reads the public options. The nonce counts from the private options only: the HMAC does not cover it, and upstream,
 * which asks the public ones first, decrypts to other bytes without an error.
 *
 * @param annotation - Base64, as the annotation has it.
 * @throws {ImageError} `encryption.malformed`, `encryption.cipher`, `encryption.public-nonce`.
 */
export function parsePublicOptions(annotation: string, what: string): PublicOptions {
  const object = readEncryptionJson(readBase64(annotation, what), what)
  const cipher = member(object, 'cipher')
  if (cipher !== CIPHER)
    throw new ImageError('encryption.cipher', `${what}: cipher ${JSON.stringify(cipher)}, known is ${CIPHER}`)
  const cipherOptions = member(object, 'cipheroptions')
  if (cipherOptions !== undefined && cipherOptions !== null) {
    const names = Object.keys(readObject(cipherOptions, `${what}.cipheroptions`))
    if (names.length > 0)
      throw new ImageError('encryption.public-nonce', `${what}: cipheroptions has ${names.join(', ')}, must be empty`)
  }
  return { hmac: readBase64(member(object, 'hmac'), `${what}.hmac`, HMAC_BYTES) }
}

/** As the annotation has it; members in the order that Go writes them. */
export function publicOptionsAnnotation(options: PublicOptions): string {
  return toBase64(utf8(JSON.stringify({ cipher: CIPHER, hmac: toBase64(options.hmac), cipheroptions: {} })))
}

function readDigest(value: unknown, what: string): Digest {
  try {
    return parseDigest(value, what)
  } catch (cause) {
    throw malformed(what, 'not a digest', cause)
  }
}
