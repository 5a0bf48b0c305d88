import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Secret, VouchsafeError, concat, transcript } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'

const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * AES-256-GCM under a 32-byte key, with the place that the bytes belong to as associated data: moved to another row,
 * they do not open (G07).
 *
 * @returns nonce ‖ ciphertext ‖ tag
 */
export function wrap(key: Secret, place: readonly string[], plain: Uint8Array): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key.expose(), nonce)
  cipher.setAAD(associatedData(place))
  return concat(nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag())
}

/** @throws {VouchsafeError} `custody.wrong-key` when it was wrapped under another key or for another place, or was changed. */
export function unwrap(key: Secret, place: readonly string[], wrapped: Uint8Array): Uint8Array<ArrayBuffer> {
  const body = wrapped.length - TAG_BYTES
  if (body < NONCE_BYTES) throw wrongKey(place)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.expose(), wrapped.subarray(0, NONCE_BYTES))
    decipher.setAAD(associatedData(place))
    decipher.setAuthTag(wrapped.subarray(body))
    return concat(decipher.update(wrapped.subarray(NONCE_BYTES, body)), decipher.final())
  } catch {
    throw wrongKey(place)
  }
}

function associatedData(place: readonly string[]): Uint8Array {
  return transcript('vouchsafe/wrap/v1', place, nodeCrypto)
}

function wrongKey(place: readonly string[]): VouchsafeError {
  return new VouchsafeError(
    'custody.wrong-key',
    `${place.join(' ')}: not wrapped under this key for this place, or changed`,
  )
}
