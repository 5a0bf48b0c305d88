/** Hashes by the lower-case names that TCG, JOSE and OpenSSL all understand. */
export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** How a signature was made. ECDSA signatures come as DER (X.509) or as r‖s, each padded to the field size (JOSE, SNP, TDX, TPM after padding). */
export type SignatureScheme =
  | { readonly kind: 'rsa-pkcs1'; readonly hash: HashName }
  | { readonly kind: 'rsa-pss'; readonly hash: HashName; readonly saltBytes?: number }
  | { readonly kind: 'ecdsa'; readonly hash: HashName; readonly encoding: 'der' | 'raw' }
  | { readonly kind: 'ed25519' }

/** A public key as its SubjectPublicKeyInfo, with what a check may ask of it. Made by `importPublicKey` only. */
export interface PublicKey {
  /** DER SubjectPublicKeyInfo, as imported. */
  readonly spki: Uint8Array
  readonly algorithm:
    | { readonly kind: 'rsa'; readonly modulusBits: number }
    | { readonly kind: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
    | { readonly kind: 'ed25519' }
}

/**
 * The cryptography that verification needs. Hashing is synchronous because it is called in tight loops (event-log
 * replay, Merkle proofs); signature checks may be asynchronous because browsers offer nothing else.
 */
export interface VerifyCrypto {
  /** Digest of the concatenation of `parts`. */
  digest(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array
  /** HMAC over the concatenation of `parts`. */
  hmac(hash: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array
  /** Reads a DER SubjectPublicKeyInfo. Throws when the key is malformed, off its curve, or of a kind not listed in `PublicKey`. */
  importPublicKey(spki: Uint8Array): PublicKey | Promise<PublicKey>
  /** False for every signature that does not verify, also for one of wrong length or for a scheme that does not fit the key. Never throws on bad signatures. */
  verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>
}
