import { TpmError } from '../codec/errors.ts'
import { handleType, TPM_RH } from '../codec/handles.ts'
import type { PermanentEntity } from '../codec/handles.ts'
import { handleName, tpmName } from '../codec/name.ts'
import type { TpmCreationData, TpmTicket } from '../codec/creation.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { digest } from '../crypto/digest.ts'
import { trimAuthValue } from '../session/authorization.ts'

const NONE = new Uint8Array()

/** Something with a handle that stays the same: a hierarchy, a register, an NV index, a persistent object. */
export class TpmEntity {
  readonly handle: number
  readonly #name: Uint8Array | undefined
  readonly #authValue: Uint8Array

  /**
   * @param name - Needed for HMAC sessions when the handle has a public area; other handles name themselves.
   * @param authValue - Its password. Never printed, never sent but by a password authorization.
   */
  constructor(handle: number, options: { readonly name?: Uint8Array; readonly authValue?: Uint8Array } = {}) {
    this.handle = handle
    this.#name = options.name
    this.#authValue = trimAuthValue(options.authValue ?? NONE)
  }

  /** @throws {TpmError} `input.malformed` when the name of a handle with a public area was not given. */
  get name(): Uint8Array {
    if (this.#name !== undefined) return this.#name
    if (!namesItself(this.handle))
      throw new TpmError(
        'input.malformed',
        `the name of 0x${this.handle.toString(16)} is needed for this session: open it with openKey or openNv first`,
      )
    return handleName(this.handle)
  }

  /** @internal */
  get authValue(): Uint8Array {
    return this.#authValue
  }
}

function namesItself(handle: number): boolean {
  const type = handleType(handle)
  return type !== undefined && type !== 'nv' && type !== 'transient' && type !== 'persistent'
}

/** A persistent key or sealed object, with its public area. */
export class PersistentKey extends TpmEntity {
  readonly public: TpmPublic
  readonly qualifiedName: Uint8Array

  constructor(
    handle: number,
    area: { readonly public: TpmPublic; readonly name: Uint8Array; readonly qualifiedName: Uint8Array },
    authValue?: Uint8Array,
  ) {
    super(handle, authValue === undefined ? { name: area.name } : { name: area.name, authValue })
    this.public = area.public
    this.qualifiedName = area.qualifiedName
  }
}

/** How an object came to be, as its TPM attests it on request (CertifyCreation). */
export interface CreationProof {
  readonly data: TpmCreationData
  readonly hash: Uint8Array
  readonly ticket: TpmTicket
}

/** Takes an object out of the TPM. */
type Flush = (object: TransientObject) => Promise<void>

/**
 * Something loaded into the TPM. It has no fixed handle: `Tpm` saves and reloads its context as slots are needed, so any
 * number can be held at once. `flush` it when done, or let `await using` do so.
 */
export abstract class TransientObject {
  /** How session HMACs mean this object. */
  abstract readonly name: Uint8Array
  readonly #authValue: Uint8Array
  readonly #flush: Flush

  /** @internal */
  constructor(flush: Flush, authValue: Uint8Array | undefined) {
    this.#flush = flush
    this.#authValue = trimAuthValue(authValue ?? NONE)
  }

  /** @internal */
  get authValue(): Uint8Array {
    return this.#authValue
  }

  /** Removes the object from the TPM. The second time it does nothing. */
  flush(): Promise<void> {
    return this.#flush(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush()
  }
}

export interface ObjectDetails {
  readonly authValue?: Uint8Array | undefined
  readonly creation?: CreationProof | undefined
  readonly qualifiedName: Uint8Array
}

/** A loaded key or sealed object. */
export class TpmObject extends TransientObject {
  readonly public: TpmPublic
  readonly name: Uint8Array
  /** Name of the object and of all its ancestors, hashed together. */
  readonly qualifiedName: Uint8Array
  /** Only for objects that this `Tpm` created as primary keys. */
  readonly creation: CreationProof | undefined

  /** @internal */
  constructor(area: TpmPublic, flush: Flush, details: ObjectDetails) {
    super(flush, details.authValue)
    this.public = area
    this.name = tpmName(area, digest)
    this.qualifiedName = details.qualifiedName
    this.creation = details.creation
  }
}

/** A hash or HMAC under way. Sequences have no name and go away when complete. */
export class TpmSequence extends TransientObject {
  readonly name = NONE
}

/** What a handle of a command may be: a number, a well-known name, or an object of this package. */
export type HandleArgument =
  number | PermanentEntity | TpmEntity | TransientObject | { readonly handle: number; readonly name: Uint8Array }

/** A key or sealed object, loaded or persistent. */
export type TpmKey = TpmObject | PersistentKey

/** A hierarchy by its name, or with its password. */
export function permanentEntity(name: PermanentEntity, authValue?: Uint8Array): TpmEntity {
  return new TpmEntity(TPM_RH[name], authValue === undefined ? {} : { authValue })
}
