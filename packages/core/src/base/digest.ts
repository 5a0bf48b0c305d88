import type { Brand } from './brand.ts'
import type { CryptoPort } from './crypto.ts'
import { toHex } from './encoding.ts'
import { VouchsafeError } from './errors.ts'

/** `sha256:` and 64 lower-case hexadecimal digits, as OCI writes digests. */
export type Digest = Brand<string, 'Digest'>

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** @throws {VouchsafeError} `input.malformed` */
export function parseDigest(text: string, what = 'digest'): Digest {
  if (!DIGEST.test(text))
    throw new VouchsafeError('input.malformed', `${what}: not sha256: and 64 lower-case hexadecimal digits`)
  return text as Digest
}

/** SHA-256 of the exact bytes. */
export function digestOf(bytes: Uint8Array, crypto: CryptoPort): Digest {
  return `sha256:${toHex(crypto.digest('sha256', bytes))}` as Digest
}
