import { softwareHash } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import { ByteReader } from '../codec/byte-reader.ts'
import { aesCfbDecrypt, aesCfbEncrypt } from '../crypto/cfb.ts'
import { kdfa } from '../crypto/kdf.ts'
import type { TpmSession } from './session.ts'

const IV_BITS = 128
/** Of a TPM2B's own size, which stays in the clear. */
const SIZE_BYTES = 2

/** The direction of a parameter and the nonces of that moment. */
export interface ParameterContext {
  readonly session: TpmSession
  /** Authorization value of the entity that this session authorizes; empty when it authorizes none. */
  readonly authValue: Uint8Array
  readonly nonceNewer: Uint8Array
  readonly nonceOlder: Uint8Array
}

/** Encrypts the buffer of the first parameter; its size stays readable. */
export function encryptFirstParameter(context: ParameterContext, parameters: Uint8Array): Uint8Array<ArrayBuffer> {
  return transform(context, parameters, aesCfbEncrypt)
}

/** Undoes what the TPM did to the first parameter of its answer. */
export function decryptFirstParameter(context: ParameterContext, parameters: Uint8Array): Uint8Array<ArrayBuffer> {
  return transform(context, parameters, aesCfbDecrypt)
}

function transform(
  context: ParameterContext,
  parameters: Uint8Array,
  aes: (key: Uint8Array, data: Uint8Array, iv: Uint8Array) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  const reader = new ByteReader('parameters', parameters, 'big')
  const buffer = reader.view('first', reader.size('first', 0xffff))
  const changed = new Uint8Array(parameters)
  changed.set(aesOrXor(context, buffer, aes), SIZE_BYTES)
  return changed
}

function aesOrXor(
  { session, authValue, nonceNewer, nonceOlder }: ParameterContext,
  buffer: Uint8Array,
  aes: (key: Uint8Array, data: Uint8Array, iv: Uint8Array) => Uint8Array,
): Uint8Array {
  const key = session.keyWith(authValue)
  const { symmetric } = session
  if (symmetric.algorithm === 'xor') {
    const mask = kdfa(softwareHash(symmetric.hash), key, 'XOR', nonceNewer, nonceOlder, buffer.length * 8)
    return buffer.map((octet, at) => octet ^ (mask[at] ?? 0))
  }
  if (symmetric.algorithm !== 'aes' || symmetric.mode !== 'cfb')
    throw new TpmError('input.malformed', 'this session was started without a cipher: it cannot encrypt')
  const { keyBits } = symmetric
  const keyAndIv = kdfa(session.hash, key, 'CFB', nonceNewer, nonceOlder, keyBits + IV_BITS)
  return aes(keyAndIv.slice(0, keyBits / 8), buffer, keyAndIv.slice(keyBits / 8))
}
