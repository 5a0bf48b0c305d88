import { constants, createECDH, publicEncrypt, randomBytes } from 'node:crypto'
import { DIGEST_BYTES, softwareHash } from '../codec/algorithms.ts'
import type { SoftwareHash } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import { ECC_POINT } from '../codec/public-area.ts'
import type { TpmEccPublic, TpmPublic, TpmRsaPublic } from '../codec/public-area.ts'
import { FIELD_BYTES, leftPad, signingCurve } from '../verify/spki.ts'
import { encode } from '../codec/table.ts'
import { kdfe, labelBytes } from './kdf.ts'
import type { KdfLabel } from './kdf.ts'
import { toKeyObject } from './keys.ts'

/** A secret that only the holder of a decryption key learns. */
export interface SharedSeed {
  readonly seed: Uint8Array
  /** Contents of a TPM2B_ENCRYPTED_SECRET: an OAEP ciphertext, or an ephemeral point. */
  readonly encryptedSeed: Uint8Array
}

/** The curve's name in OpenSSL. */
const OPENSSL_CURVES = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1' } as const

/**
 * Makes a seed for the TPM which holds `key`: credentials, imports and session salts start here.
 *
 * @param key - A decryption key (EK, SRK). That it is genuine is for the caller to know: a seed for a substituted key is
 *   a seed for the substituter.
 * @param chosen - For tests with known answers: the seed under RSA, the ephemeral private key under ECC.
 * @throws {TpmError} `input.malformed` when `key` cannot receive seeds, or is not a valid key.
 * @source TPM 2.0 Library, Part 1: Architecture, Annex B (RSA) and Annex C (ECC): Secret Sharing
 */
export function makeSeed(key: TpmPublic, label: KdfLabel, chosen?: Uint8Array): SharedSeed {
  if (key.nameAlg === 'null' || !key.attributes.decrypt)
    throw new TpmError('input.malformed', 'a seed can be sent to a decryption key with a name algorithm only')
  const hash = softwareHash(key.nameAlg)
  if (key.type === 'rsa') return rsaSeed(key, hash, label, chosen)
  if (key.type === 'ecc') return eccSeed(key, hash, label, chosen)
  throw new TpmError('input.malformed', `a seed cannot be sent to a ${key.type} object`)
}

function rsaSeed(key: TpmRsaPublic, hash: SoftwareHash, label: KdfLabel, chosen: Uint8Array | undefined): SharedSeed {
  const seed = chosen ?? new Uint8Array(randomBytes(DIGEST_BYTES[hash]))
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const options = { key: toKeyObject(key), padding, oaepHash: hash, oaepLabel: Buffer.from(labelBytes(label)) }
  return { seed, encryptedSeed: new Uint8Array(publicEncrypt(options, seed)) }
}

function eccSeed(key: TpmEccPublic, hash: SoftwareHash, label: KdfLabel, chosen: Uint8Array | undefined): SharedSeed {
  const curve = signingCurve(key)
  toKeyObject(key) // refuses points that are not on the curve, before any secret meets them
  const ecdh = createECDH(OPENSSL_CURVES[curve])
  if (chosen === undefined) ecdh.generateKeys()
  else ecdh.setPrivateKey(chosen)
  const size = FIELD_BYTES[curve]
  const ephemeral = new Uint8Array(ecdh.getPublicKey())
  const x = ephemeral.slice(1, 1 + size)
  const y = ephemeral.slice(1 + size)
  const theirX = leftPad(key.x, size)
  const z = new Uint8Array(ecdh.computeSecret(Uint8Array.of(4, ...theirX, ...leftPad(key.y, size))))
  const seed = kdfe(hash, z, label, x, theirX, DIGEST_BYTES[hash] * 8)
  z.fill(0)
  return { seed, encryptedSeed: encode('TPMS_ECC_POINT', ECC_POINT, { x, y }) }
}
