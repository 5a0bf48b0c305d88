import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto'
import { ImageError } from '../../errors.ts'
import { readEncryptionJson } from '../read-json.ts'

/** A key as `jwe` uses it. */
export interface AsymmetricKey {
  readonly key: KeyObject
  /** What the key itself demands (a JWK's `alg`). */
  readonly algorithm?: string
}

/**
 * Reads a public key: PEM or DER (SubjectPublicKeyInfo, PKCS#1), JWK, or the key of an X.509 certificate.
 *
 * @throws {ImageError} `encryption.recipient`.
 */
export function readPublicKey(bytes: Uint8Array, what: string): AsymmetricKey {
  const text = asText(bytes)
  if (text?.startsWith('{')) return readJwk(bytes, what, 'public')
  const input = Buffer.from(bytes)
  const attempts = [
    ...(text?.includes('PRIVATE KEY') ? [] : [() => createPublicKey(input)]),
    () => new X509Certificate(input).publicKey,
    () => createPublicKey({ key: input, format: 'der', type: 'spki' }),
    () => createPublicKey({ key: input, format: 'der', type: 'pkcs1' }),
  ]
  return { key: firstThatReads(attempts, `${what}: no public key or certificate in PEM, DER or JWK`) }
}

/**
 * Reads a private key: PEM or DER (PKCS#8, PKCS#1, SEC 1), or JWK.
 *
 * @param passphrase - For an encrypted PEM or PKCS#8 key.
 * @throws {ImageError} `encryption.recipient`.
 */
export function readPrivateKey(bytes: Uint8Array, what: string, passphrase?: string): AsymmetricKey {
  const text = asText(bytes)
  if (text?.startsWith('{')) return readJwk(bytes, what, 'private')
  const key = Buffer.from(bytes)
  const secret = passphrase === undefined ? {} : { passphrase }
  const attempts = [
    () => createPrivateKey({ key, format: 'pem', ...secret }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs8', ...secret }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key, format: 'der', type: 'sec1' }),
  ]
  const hint = text?.includes('ENCRYPTED') ? ': wrong or missing passphrase' : ''
  return { key: firstThatReads(attempts, `${what}: no private key in PEM, DER or JWK${hint}`) }
}

function readJwk(bytes: Uint8Array, what: string, kind: 'public' | 'private'): AsymmetricKey {
  const { alg, ...jwk } = readEncryptionJson(bytes, what)
  const create = kind === 'public' ? createPublicKey : createPrivateKey
  try {
    const key = create({ key: jwk as JsonWebKey, format: 'jwk' })
    return { key, ...(typeof alg === 'string' ? { algorithm: alg } : {}) }
  } catch (cause) {
    throw new ImageError('encryption.recipient', `${what}: not a ${kind} JWK`, { cause })
  }
}

function firstThatReads(attempts: readonly (() => KeyObject)[], message: string): KeyObject {
  for (const attempt of attempts) {
    try {
      return attempt()
    } catch {
      // the next form
    }
  }
  throw new ImageError('encryption.recipient', message)
}

function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trimStart()
  } catch {
    return undefined
  }
}
