import { DIGEST_BYTES, HASH, HASH_OR_NULL } from './algorithms.ts'
import type { TpmHash } from './algorithms.ts'
import { TpmError } from './errors.ts'
import { bytes } from './table.ts'
import type { Codec } from './table.ts'

// Upper bounds are those of the largest algorithms of the registry: SHA-512, RSA-4096, P-638.
export const MAX_DIGEST_BYTES = 64
/** A TPMT_HA of SHA-512: the bound of names and of TPM2B_DATA. */
export const MAX_NAME_BYTES = 2 + MAX_DIGEST_BYTES

/** TPM2B_DIGEST, TPM2B_NONCE, TPM2B_AUTH */
export const DIGEST = bytes(MAX_DIGEST_BYTES)
/** TPM2B_NAME */
export const NAME = bytes(MAX_NAME_BYTES)
/** TPM2B_DATA: qualifying data, outside information */
export const DATA = bytes(MAX_NAME_BYTES)
/** TPM2B_MAX_BUFFER */
export const MAX_BUFFER = bytes(2048)
/** TPM2B_MAX_NV_BUFFER */
export const MAX_NV_BUFFER = bytes(2048)
/** TPM2B_EVENT */
export const EVENT = bytes(1024)
/** TPM2B_SENSITIVE_DATA */
export const SENSITIVE_DATA = bytes(512)
/** TPM2B_PUBLIC_KEY_RSA */
export const RSA_KEY = bytes(512)
/** TPM2B_ECC_PARAMETER */
export const ECC_PARAMETER = bytes(128)
/** TPM2B_ENCRYPTED_SECRET */
export const ENCRYPTED_SECRET = bytes(512)
/** TPM2B_ID_OBJECT */
export const ID_OBJECT = bytes(2 + MAX_DIGEST_BYTES + 2 + MAX_DIGEST_BYTES)
/** TPM2B_PRIVATE */
export const PRIVATE = bytes(4096)
/** TPM2B_TIMEOUT */
export const TIMEOUT = bytes(8)
/** TPM2B_IV */
export const IV = bytes(16)

/** A digest with the name of its hash. */
export interface TaggedDigest {
  readonly hash: TpmHash
  readonly digest: Uint8Array
}

/** TPMT_HA: the digest's size follows from its hash. */
export const TAGGED_DIGEST: Codec<TaggedDigest> = {
  read(r) {
    const hash = HASH.read(r, 'hashAlg')
    return { hash, digest: r.take('digest', DIGEST_BYTES[hash]) }
  },
  write(w, f, { hash, digest }) {
    if (digest.length !== DIGEST_BYTES[hash])
      throw new TpmError('input.malformed', `${f}: ${digest.length} bytes are not a ${hash} digest`)
    HASH.write(w, 'hashAlg', hash)
    w.raw(digest)
  },
}

/** TPMT_HA+, where there may be none. */
export const TAGGED_DIGEST_OR_NULL: Codec<TaggedDigest | undefined> = {
  read(r) {
    const hash = HASH_OR_NULL.read(r, 'hashAlg')
    return hash === 'null' ? undefined : { hash, digest: r.take('digest', DIGEST_BYTES[hash]) }
  },
  write(w, f, value) {
    if (value === undefined) HASH_OR_NULL.write(w, 'hashAlg', 'null')
    else TAGGED_DIGEST.write(w, f, value)
  },
}
