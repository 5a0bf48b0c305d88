import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { type Content, type DigestAlgorithm, Digester } from '../oci/digest.ts'
import { startHash } from '../stream/hash-lane.ts'
import { KEY_BYTES, NONCE_BYTES, type PrivateOptions, type PublicOptions } from './options.ts'

/** Of what is handed to the cipher at once: OpenSSL in Node is fastest there (larger portions leave the caches). */
const PORTION = 64 * 1024

/** An encryption under way: read `ciphertext` to its end, then ask for the options. */
export interface LayerEncryption {
  readonly ciphertext: AsyncIterable<Uint8Array>
  /** @throws {Error} before the end of the ciphertext. */
  finish(): { readonly privateOptions: PrivateOptions; readonly publicOptions: PublicOptions }
}

/**
 * Encrypts a blob under a fresh key and nonce, one portion at a time.
 *
 * AES-256-CTR from the nonce as first counter block; HMAC-SHA256 with the same key over the ciphertext.
 * @source ocicrypt, blockcipher: AES_256_CTR_HMAC_SHA256
 */
export function encryptLayer(
  plain: AsyncIterable<Uint8Array>,
  secrets: { readonly symmetricKey: Secret; readonly nonce: Uint8Array } = freshSecrets(),
  algorithm: DigestAlgorithm = 'sha256',
): LayerEncryption {
  const { symmetricKey, nonce } = secrets
  const digester = new Digester(algorithm)
  const hmac = createHmac('sha256', symmetricKey.expose())
  let ended = false
  async function* run() {
    const cipher = createCipheriv('aes-256-ctr', symmetricKey.expose(), nonce)
    for await (const chunk of plain)
      yield inPortions(chunk, (portion) => {
        digester.update(portion)
        const out = cipher.update(portion)
        hmac.update(out)
        return out
      })
    cipher.final()
    ended = true
  }
  return {
    ciphertext: run(),
    finish: () => {
      if (!ended) throw new Error('the ciphertext was not read to its end')
      return {
        privateOptions: { symmetricKey, digest: digester.digest(), nonce },
        publicOptions: { hmac: new Uint8Array(hmac.digest()) },
      }
    },
  }
}

function freshSecrets() {
  return { symmetricKey: new Secret(randomBytes(KEY_BYTES)), nonce: new Uint8Array(randomBytes(NONCE_BYTES)) }
}

/**
 * Decrypts a layer, one portion at a time. What comes out before the end is NOT authenticated: the HMAC covers the
 * whole ciphertext, so whoever takes the bytes stages them and publishes when the iterator has ended without an error
 * (H11). The digest of the plain bytes is the caller's to check, against `privateOptions.digest`: the HMAC covers
 * neither nonce nor media type.
 *
 * @param expected - The ciphertext's size, from the layer's descriptor.
 * @throws {ImageError} `encryption.truncated`, `encryption.authentication`, from the iterator.
 */
export async function* decryptLayer(
  ciphertext: AsyncIterable<Uint8Array>,
  options: { readonly privateOptions: PrivateOptions; readonly publicOptions: PublicOptions },
  expected: Content,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { privateOptions, publicOptions } = options
  const what = `layer ${expected.digest}`
  const key = privateOptions.symmetricKey.expose()
  using hmac = startHash('sha256', { expectedBytes: expected.size, key })
  const decipher = createDecipheriv('aes-256-ctr', key, privateOptions.nonce)
  let size = 0
  for await (const chunk of ciphertext) {
    size += chunk.length
    await hmac.update(chunk)
    yield decipher.update(chunk)
  }
  decipher.final()
  if (size < expected.size)
    throw new ImageError('encryption.truncated', `${what}: ends after ${size} of ${expected.size} bytes`)
  if (!timingSafeEqual(await hmac.digest(), publicOptions.hmac))
    throw new ImageError(
      'encryption.authentication',
      `${what}: its HMAC is not the one in its options: bytes, key or options are not those of the encryption`,
    )
}

/** Each portion while it is in the processor's cache; handed on as one chunk, since each hand-over costs a turn of the event loop. */
function inPortions(chunk: Uint8Array, run: (portion: Uint8Array) => Uint8Array): Uint8Array {
  if (chunk.length <= PORTION) return run(chunk)
  const out = new Uint8Array(chunk.length)
  for (let at = 0; at < chunk.length; at += PORTION) out.set(run(chunk.subarray(at, at + PORTION)), at)
  return out
}
