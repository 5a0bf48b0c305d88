import type { KeyObject } from 'node:crypto'
import { DIGEST_BYTES } from '../codec/algorithms.ts'
import type { SoftwareHash } from '../codec/algorithms.ts'
import { digest, hmac } from './digest.ts'

/** What a derived key is for. KDFa and KDFe take it with a NUL byte at its end. */
export type KdfLabel = 'ATH' | 'CFB' | 'XOR' | 'STORAGE' | 'INTEGRITY' | 'IDENTITY' | 'DUPLICATE' | 'SECRET'

const LABELS = new Map<string, Uint8Array>()

/** The label as the specification hashes it: ASCII with a terminating NUL. */
export function labelBytes(label: KdfLabel): Uint8Array {
  const known = LABELS.get(label)
  if (known !== undefined) return known
  const encoded = new TextEncoder().encode(`${label}\0`)
  LABELS.set(label, encoded)
  return encoded
}

/**
 * KDFa: SP 800-108 in counter mode with HMAC.
 * @param bits - A multiple of 8.
 * @source TPM 2.0 Library, Part 1: Architecture: KDFa()
 */
export function kdfa(
  hash: SoftwareHash,
  key: Uint8Array | KeyObject,
  label: KdfLabel,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array<ArrayBuffer> {
  const end = word(bits)
  return blocks(hash, bits, (counter) => hmac(hash, key, counter, labelBytes(label), contextU, contextV, end))
}

/**
 * KDFe: SP 800-56A concatenation over a shared secret.
 * @param z - The shared point's x-coordinate, as wide as the field, as are both party values.
 * @source TPM 2.0 Library, Part 1: Architecture: KDFe for ECDH
 */
export function kdfe(
  hash: SoftwareHash,
  z: Uint8Array,
  label: KdfLabel,
  partyU: Uint8Array,
  partyV: Uint8Array,
  bits: number,
): Uint8Array<ArrayBuffer> {
  return blocks(hash, bits, (counter) => digest(hash, counter, z, labelBytes(label), partyU, partyV))
}

function blocks(hash: SoftwareHash, bits: number, block: (counter: Uint8Array) => Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bits / 8)
  const step = DIGEST_BYTES[hash]
  for (let at = 0, counter = 1; at < out.length; at += step, counter++)
    out.set(block(word(counter)).slice(0, out.length - at), at)
  return out
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}
