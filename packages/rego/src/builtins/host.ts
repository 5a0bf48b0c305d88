import type { Value } from '../value/index.ts'
import type { SignatureAlgorithm } from './jwt/algorithms.ts'

/** What a host may lend to policies. What is absent does not exist for them; an answer may be a promise. */
export interface HostFunctions {
  /** `http.send`: a request object in, a response object out. */
  readonly httpSend?: (request: Value) => Value | Promise<Value>
  /** `net.lookup_ip_addr`: the addresses of a host name. */
  readonly lookupAddresses?: (name: string) => readonly string[] | Promise<readonly string[]>
  /** `opa.runtime`: facts about the running host. */
  readonly runtime?: () => Value | Promise<Value>
  /** `trace` notes. */
  readonly trace?: (note: string) => void
  /** Signatures for tokens and certificates. Absent: WebCrypto, whose answers are promises. */
  readonly signatures?: Signatures
}

/** Signature primitives, from `node:crypto`, WebCrypto or another kept implementation. */
export interface Signatures {
  /** @param publicKey - DER SubjectPublicKeyInfo. @returns false when the signature is wrong; throws when it cannot tell */
  verify(
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array<ArrayBuffer>,
    message: Uint8Array<ArrayBuffer>,
    signature: Uint8Array<ArrayBuffer>,
  ): boolean | Promise<boolean>
  /** @param privateKey - DER PKCS #8. ECDSA signatures are r ‖ s. */
  sign(
    algorithm: SignatureAlgorithm,
    privateKey: Uint8Array<ArrayBuffer>,
    message: Uint8Array<ArrayBuffer>,
  ): Uint8Array | Promise<Uint8Array>
}
