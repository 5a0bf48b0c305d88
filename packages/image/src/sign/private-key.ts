import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  scryptSync,
  sign,
} from 'node:crypto'
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { z } from 'zod'
import { ImageError } from '../errors.ts'
import { parseJsonObject, readAs } from '../oci/json.ts'
import { type SignatureAlgorithm, type VerificationKey, verificationKey } from '../signature/verification-key.ts'

/** A key that signs. The private half stays inside. */
export interface SigningKey {
  readonly public: VerificationKey
  readonly algorithm: SignatureAlgorithm
  sign(data: Uint8Array): Uint8Array
}

const kdfSchema = z.strictObject({
  kdf: z.strictObject({
    name: z.literal('scrypt'),
    // what cosign writes, and what it wrote: anything larger is a way to stop us
    params: z.strictObject({ N: z.union([z.literal(32768), z.literal(65536)]), r: z.literal(8), p: z.literal(1) }),
    salt: z.base64(),
  }),
  cipher: z.strictObject({ name: z.literal('nacl/secretbox'), nonce: z.base64() }),
  ciphertext: z.base64(),
})

const MAX_KEY_BYTES = 64 * 1024
const PEM = /^\s*-----BEGIN ([A-Z ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----\s*$/
const ENCRYPTED = ['ENCRYPTED SIGSTORE PRIVATE KEY', 'ENCRYPTED COSIGN PRIVATE KEY']

/**
 * Reads a private key: PEM of PKCS #8, PKCS #1 or SEC 1, in the clear or encrypted as cosign encrypts its keys.
 *
 * @param passphrase - May be empty: cosign allows that.
 * @param pss - RSA keys then sign by PSS, which Confidential Space knows and cosign does not.
 * @throws {ImageError} `key.malformed`, `key.unsupported`, `key.passphrase`.
 * @source cosign, encrypted private keys; libsodium secretbox
 */
export function parseSigningKey(
  pem: string,
  options: { readonly passphrase?: string; readonly pss?: boolean; readonly what?: string } = {},
): SigningKey {
  const { what = 'private key' } = options
  const [, label = '', body = ''] = PEM.exec(pem) ?? []
  if (label === '')
    throw new ImageError(
      'key.malformed',
      `${what}: not one PEM block${pem.includes('BEGIN EC PARAMETERS') ? ': take EC PARAMETERS out, the key names its curve' : ''}`,
    )
  if (label.includes('PUBLIC'))
    throw new ImageError('key.malformed', `${what}: a public key, and a private one is wanted`)
  const input = ENCRYPTED.includes(label)
    ? ({
        key: openSecretBox(Buffer.from(body, 'base64'), options.passphrase, what),
        format: 'der',
        type: 'pkcs8',
      } as const)
    : { key: pem, ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }) }
  let key: KeyObject
  try {
    key = createPrivateKey(input)
  } catch (cause) {
    const needed = label === 'ENCRYPTED PRIVATE KEY'
    throw new ImageError(
      needed ? 'key.passphrase' : 'key.malformed',
      needed ? `${what}: the passphrase is missing or wrong` : `${what}: not a private key`,
      { cause },
    )
  }
  return signingKey(key, options)
}

/** @throws {ImageError} `key.unsupported` */
export function signingKey(
  key: KeyObject,
  options: { readonly pss?: boolean; readonly what?: string } = {},
): SigningKey {
  const known = verificationKey(createPublicKey(key), options.what)
  if (options.pss === true && known.algorithm !== 'RSASSA_PKCS1V15_SHA256')
    throw new ImageError('key.unsupported', `${options.what ?? 'private key'}: PSS is a way of RSA keys`)
  const algorithm = options.pss === true ? 'RSASSA_PSS_SHA256' : known.algorithm
  return { public: known, algorithm, sign: (data) => new Uint8Array(signWith(key, algorithm, data)) }
}

function signWith(key: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Uint8Array {
  switch (algorithm) {
    case 'ED25519':
      return sign(null, data, key)
    case 'RSASSA_PSS_SHA256':
      return sign('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
    case 'RSASSA_PKCS1V15_SHA256':
      return sign('sha256', data, { key, padding: constants.RSA_PKCS1_PADDING })
    default:
      return sign('sha256', data, { key, dsaEncoding: 'der' })
  }
}

/** A fresh ECDSA P-256 key pair, the private half encrypted as cosign does it: either tool can use both files. */
export function generateSigningKey(passphrase: string): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    privatePem: writeCosignKey(new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })), passphrase),
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  }
}

function writeCosignKey(pkcs8: Uint8Array, passphrase: string): string {
  const salt = randomBytes(32)
  const nonce = randomBytes(24)
  // what every reader takes: skopeo 1.13 and cosign 1 know no other cost
  const params = { N: 32768, r: 8, p: 1 }
  const json = JSON.stringify({
    kdf: { name: 'scrypt', params, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(xsalsa20poly1305(derive(passphrase, salt, params), nonce).encrypt(pkcs8)).toString(
      'base64',
    ),
  })
  const lines =
    Buffer.from(json)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  const label = 'ENCRYPTED SIGSTORE PRIVATE KEY'
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function openSecretBox(json: Uint8Array, passphrase: string | undefined, what: string): Buffer {
  const parsed = kdfSchema.safeParse(readAs('key.malformed', () => parseJsonObject(json, what, MAX_KEY_BYTES)))
  if (!parsed.success) throw new ImageError('key.malformed', `${what}: not encrypted as cosign does it`)
  if (passphrase === undefined)
    throw new ImageError('key.passphrase', `${what}: encrypted, and no passphrase was given`)
  const { kdf, cipher, ciphertext } = parsed.data
  const nonce = Buffer.from(cipher.nonce, 'base64')
  if (nonce.length !== 24) throw new ImageError('key.malformed', `${what}: a nonce of ${nonce.length} bytes`)
  try {
    const key = derive(passphrase, Buffer.from(kdf.salt, 'base64'), kdf.params)
    return Buffer.from(xsalsa20poly1305(key, nonce).decrypt(Buffer.from(ciphertext, 'base64')))
  } catch (cause) {
    throw new ImageError('key.passphrase', `${what}: the passphrase is wrong, or the file is damaged`, { cause })
  }
}

function derive(passphrase: string, salt: Uint8Array, { N, r, p }: { N: number; r: number; p: number }): Uint8Array {
  return new Uint8Array(scryptSync(passphrase, salt, 32, { N, r, p, maxmem: 256 * N * r }))
}

/** How bundles hint at a key: base64 of the SPKI's digest. A hint only; see `verifyBundle`. */
export function keyHint(key: VerificationKey): string {
  return createHash('sha256').update(key.spki).digest('base64')
}
