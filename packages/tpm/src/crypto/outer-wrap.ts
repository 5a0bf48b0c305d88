import { DIGEST_BYTES, softwareHash } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { aesCfbEncrypt } from './cfb.ts'
import { hmac } from './digest.ts'
import { kdfa } from './kdf.ts'

const NONE = new Uint8Array()
/** A public area may say any number; it comes from the other side. */
const AES_BITS: readonly number[] = [128, 192, 256]

/**
 * The outer wrapper of credentials and duplicates: encrypts `plain` under a key derived from `seed`, and binds it to the
 * object's name by an HMAC. The hash is the protecting key's name algorithm, not the object's.
 *
 * @returns 2B(integrity) ‖ encrypted
 * @source TPM 2.0 Library, Part 1: Architecture: Protected Storage: Outer Wrap; Credential Protection
 */
export function outerWrap(
  protector: TpmPublic,
  seed: Uint8Array,
  objectName: Uint8Array,
  plain: Uint8Array,
): Uint8Array<ArrayBuffer> {
  if (protector.type === 'keyedhash' || protector.symmetric.algorithm !== 'aes' || protector.symmetric.mode !== 'cfb')
    throw new TpmError('input.malformed', 'the protecting key does not use AES in CFB mode')
  if (!AES_BITS.includes(protector.symmetric.keyBits))
    throw new TpmError('input.malformed', `the protecting key uses AES with ${protector.symmetric.keyBits} bits`)
  const hash = softwareHash(protector.nameAlg)
  const key = kdfa(hash, seed, 'STORAGE', objectName, NONE, protector.symmetric.keyBits)
  const encrypted = aesCfbEncrypt(key, plain)
  const integrityKey = kdfa(hash, seed, 'INTEGRITY', NONE, NONE, DIGEST_BYTES[hash] * 8)
  const integrity = hmac(hash, integrityKey, encrypted, objectName)
  return new ByteWriter('big').sized('integrity', integrity).raw(encrypted).finish()
}
