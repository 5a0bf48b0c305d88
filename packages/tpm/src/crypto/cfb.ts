import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import { TpmError } from '../codec/errors.ts'

const CIPHERS: Readonly<Record<number, string>> = { 128: 'aes-128-cfb', 192: 'aes-192-cfb', 256: 'aes-256-cfb' }
const ZERO_IV = new Uint8Array(16)

/** AES in CFB mode with full-block feedback, as TPMs protect sensitive areas and parameters. */
export function aesCfbEncrypt(key: Uint8Array, data: Uint8Array, iv: Uint8Array = ZERO_IV): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createCipheriv(cipherFor(key), createSecretKey(key), iv).update(data))
}

export function aesCfbDecrypt(key: Uint8Array, data: Uint8Array, iv: Uint8Array = ZERO_IV): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createDecipheriv(cipherFor(key), createSecretKey(key), iv).update(data))
}

function cipherFor(key: Uint8Array): string {
  const cipher = CIPHERS[key.length * 8]
  if (cipher === undefined) throw new TpmError('internal', `${key.length * 8} bits are not an AES key`)
  return cipher
}
