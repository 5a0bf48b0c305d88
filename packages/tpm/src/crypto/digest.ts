import { createHash, createHmac, createSecretKey, hash as oneShot } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { SoftwareHash } from '../codec/algorithms.ts'

/** Up to here joining the parts costs less than a hash object does. */
const JOINED_BYTES = 4096

/** Digest of the concatenation of `parts`. */
export function digest(hash: SoftwareHash, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [first] = parts
  if (parts.length === 1 && first !== undefined) return new Uint8Array(oneShot(hash, first, 'buffer'))
  if (parts.reduce((sum, part) => sum + part.length, 0) <= JOINED_BYTES)
    return new Uint8Array(oneShot(hash, Buffer.concat(parts), 'buffer'))
  const state = createHash(hash)
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}

/** HMAC over the concatenation of `parts`. */
export function hmac(
  hash: SoftwareHash,
  key: Uint8Array | KeyObject,
  ...parts: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  // with a key object, since Node takes three times as long to look at bytes and see that they are none
  const state = createHmac(hash, key instanceof Uint8Array ? createSecretKey(key) : key)
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}
