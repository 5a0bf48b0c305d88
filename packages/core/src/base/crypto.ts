import type { VerifyCrypto } from '@vouchsafe/tpm/verify'

export type { HashName, PublicKey, SignatureScheme } from '@vouchsafe/tpm/verify'

/**
 * Cryptography as an argument. Two implementations are kept: `@vouchsafe/core/node` (`node:crypto`) and
 * `@vouchsafe/core/web` (WebCrypto and @noble/hashes, for browsers); both run the same vectors.
 */
export interface CryptoPort extends VerifyCrypto {
  /** Compares in time that depends on the lengths only. False when the lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean
}
