import { createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { DIGEST_BYTES } from '../codec/algorithms.ts'
import type { SoftwareHash } from '../codec/algorithms.ts'
import { handleName } from '../codec/name.ts'
import type { SymmetricSession } from '../codec/public-area.ts'
import { kdfa } from '../crypto/kdf.ts'
import { equalBytes } from '../verify/equal-bytes.ts'

export type SessionType = 'hmac' | 'policy' | 'trial'

/** The entity whose authorization value went into a session's key. */
export interface BoundEntity {
  readonly name: Uint8Array
  readonly authValue: Uint8Array
}

/** What StartAuthSession settled. */
export interface SessionStart {
  readonly handle: number
  readonly type: SessionType
  readonly hash: SoftwareHash
  readonly symmetric: SymmetricSession
  readonly nonceCaller: Uint8Array
  readonly nonceTPM: Uint8Array
  readonly salt: Uint8Array | undefined
  readonly bound: BoundEntity | undefined
}

/** What a policy session must prove besides its assertions. */
export type PolicyProof = 'nothing' | 'auth-value' | 'password'

/**
 * An authorization session of one TPM. Made by `Tpm.startSession`; its rolling nonces are kept here, so one session must
 * not be used outside the `Tpm` that made it.
 */
export class TpmSession {
  readonly handle: number
  readonly type: SessionType
  readonly hash: SoftwareHash
  readonly symmetric: SymmetricSession
  /** @internal A session's name is its handle. */
  readonly name: Uint8Array
  readonly #key: Uint8Array
  readonly #bound: BoundEntity | undefined
  #lastKey: { readonly authValue: Uint8Array; readonly object: KeyObject } | undefined
  #nonceTPM: Uint8Array
  #proof: PolicyProof = 'nothing'
  #isEnded = false

  /** @internal */
  constructor(start: SessionStart) {
    this.handle = start.handle
    this.type = start.type
    this.hash = start.hash
    this.symmetric = start.symmetric
    this.name = handleName(start.handle)
    this.#nonceTPM = start.nonceTPM
    this.#bound = start.type === 'hmac' ? start.bound : undefined
    this.#key = sessionKey(start)
  }

  /** True once it was flushed, or used with `last`. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** The TPM's newest nonce, as PolicySigned and PolicySecret with an expiry take it. A copy. */
  get nonceTPM(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#nonceTPM)
  }

  /** @internal Whether there is a session key: neither salted nor bound, a session has none. */
  get hasKey(): boolean {
    return this.#key.length > 0
  }

  /** @internal The session key followed by an authorization value, for HMACs and KDFs. The newest is kept. */
  keyWith(authValue: Uint8Array): KeyObject {
    const last = this.#lastKey
    if (last !== undefined && equalBytes(last.authValue, authValue)) return last.object
    const object = createSecretKey(Buffer.concat([this.#key, authValue]))
    this.#lastKey = { authValue: new Uint8Array(authValue), object }
    return object
  }

  /** @internal */
  get proof(): PolicyProof {
    return this.#proof
  }

  /** @internal The last of PolicyAuthValue and PolicyPassword counts. */
  requireProof(proof: PolicyProof): void {
    this.#proof = proof
  }

  /** @internal */
  roll(nonceTPM: Uint8Array, continues: boolean): void {
    this.#nonceTPM = nonceTPM
    if (!continues) this.#isEnded = true
  }

  /** @internal */
  end(): void {
    this.#isEnded = true
  }

  /** @internal Whether its key already contains this entity's authorization value. */
  isBoundTo(name: Uint8Array, authValue: Uint8Array): boolean {
    const bound = this.#bound
    return bound !== undefined && equalBytes(bound.name, name) && equalBytes(bound.authValue, authValue)
  }
}

function sessionKey({ hash, nonceCaller, nonceTPM, salt, bound }: SessionStart): Uint8Array {
  if (salt === undefined && bound === undefined) return new Uint8Array()
  const secret = Buffer.concat([bound?.authValue ?? new Uint8Array(), salt ?? new Uint8Array()])
  return kdfa(hash, secret, 'ATH', nonceTPM, nonceCaller, DIGEST_BYTES[hash] * 8)
}
