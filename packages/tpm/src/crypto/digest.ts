import { createHash, createHmac, hash as oneShot } from 'node:crypto'
import type { SoftwareHash } from '../codec/algorithms.ts'

/** Digest of the concatenation of `parts`. */
export function digest(hash: SoftwareHash, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [first] = parts
  // one-shot hashing is several times faster for the small inputs here
  if (parts.length === 1 && first !== undefined) return new Uint8Array(oneShot(hash, first, 'buffer'))
  const state = createHash(hash)
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}

/** HMAC over the concatenation of `parts`. */
export function hmac(hash: SoftwareHash, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const state = createHmac(hash, key)
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}
