import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/**
 * A SubjectPublicKeyInfo for node:crypto, as text: of bytes Node first asks whether they are one of its key objects, and
 * each no is an exception with its stack, which takes twice as long as reading the key. Throws OpenSSL's error.
 */
export function importSpki(spki: Uint8Array): KeyObject {
  const { buffer, byteOffset, length } = spki
  const text = Buffer.from(buffer, byteOffset, length).toString('base64')
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`)
}
