import { DIGEST_BYTES } from './algorithms.ts'
import type { DigestFunction, SoftwareHash } from './algorithms.ts'
import { ByteWriter } from './byte-writer.ts'
import { COMMANDS } from './commands/index.ts'
import type { CommandName } from './commands/index.ts'
import { OPERATION } from './commands/sessions.ts'
import { TpmError } from './errors.ts'
import { PCR_SELECTIONS } from './pcr-selection.ts'
import type { PcrSelection } from './pcr-selection.ts'
import { encode } from './table.ts'
import type { TypeOf } from './table.ts'

export type PolicyOperation = TypeOf<typeof OPERATION>

/**
 * Policy digests computed in software: what `authPolicy` must be for an object that these assertions, in this order,
 * shall open. Each method is one assertion and returns `this`.
 *
 * @source TPM 2.0 Library, Part 3: Commands: Enhanced Authorization (EA) Commands
 */
export class PolicyDigest {
  readonly hash: SoftwareHash
  readonly #digest: DigestFunction
  #value: Uint8Array

  constructor(hash: SoftwareHash, digest: DigestFunction) {
    this.hash = hash
    this.#digest = digest
    this.#value = new Uint8Array(DIGEST_BYTES[hash])
  }

  /** A copy of the digest after the assertions so far. */
  get value(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#value)
  }

  /** @param values - Of the selected registers: bank by bank in the order of `selections`, registers ascending. */
  pcr(selections: readonly PcrSelection[], values: readonly Uint8Array[]): this {
    const selected = selections.reduce((count, { pcrs }) => count + new Set(pcrs).size, 0)
    if (values.length !== selected)
      throw new TpmError('input.malformed', `${values.length} values for ${selected} selected registers`)
    return this.pcrDigest(selections, this.#digest(this.hash, ...values))
  }

  /** As `pcr`, with the digest of the values already computed by the policy's hash. */
  pcrDigest(selections: readonly PcrSelection[], digest: Uint8Array): this {
    return this.#extend('PolicyPCR', encode('pcrs', PCR_SELECTIONS, selections), digest)
  }

  /** @param name - Of the entity whose authorization is needed; for a hierarchy `handleName(handle)`. */
  secret(name: Uint8Array, policyRef: Uint8Array = new Uint8Array()): this {
    return this.#update('PolicySecret', name, policyRef)
  }

  /** @param name - Of the public key that signs. */
  signed(name: Uint8Array, policyRef: Uint8Array = new Uint8Array()): this {
    return this.#update('PolicySigned', name, policyRef)
  }

  /** Whatever policy the key named by `name` signs: replaces the digest so far. */
  authorize(name: Uint8Array, policyRef: Uint8Array = new Uint8Array()): this {
    this.#reset()
    return this.#update('PolicyAuthorize', name, policyRef)
  }

  /** @param nvName - Of the NV index that holds the policy: replaces the digest so far. */
  authorizeNv(nvName: Uint8Array): this {
    this.#reset()
    return this.#extend('PolicyAuthorizeNV', nvName)
  }

  authValue(): this {
    return this.#extend('PolicyAuthValue')
  }

  /** Gives the same digest as `authValue`: which of the two was meant is the user's choice. */
  password(): this {
    return this.#extend('PolicyAuthValue')
  }

  commandCode(command: CommandName): this {
    return this.#extend('PolicyCommandCode', u32(COMMANDS[command].code))
  }

  /** Any one of two to eight policies: replaces the digest so far. */
  or(branches: readonly Uint8Array[]): this {
    if (branches.length < 2 || branches.length > 8)
      throw new TpmError('input.malformed', `PolicyOR takes 2 to 8 branches, not ${branches.length}`)
    this.#reset()
    return this.#extend('PolicyOR', ...branches)
  }

  locality(locality: number): this {
    return this.#extend('PolicyLocality', Uint8Array.of(locality))
  }

  nv(nvName: Uint8Array, operandB: Uint8Array, offset: number, operation: PolicyOperation): this {
    const w = new ByteWriter('big').raw(operandB).u16('offset', offset)
    OPERATION.write(w, 'operation', operation)
    return this.#extend('PolicyNV', this.#digest(this.hash, w.finish()), nvName)
  }

  counterTimer(operandB: Uint8Array, offset: number, operation: PolicyOperation): this {
    const w = new ByteWriter('big').raw(operandB).u16('offset', offset)
    OPERATION.write(w, 'operation', operation)
    return this.#extend('PolicyCounterTimer', this.#digest(this.hash, w.finish()))
  }

  nvWritten(written: boolean): this {
    return this.#extend('PolicyNvWritten', Uint8Array.of(written ? 1 : 0))
  }

  cpHash(digest: Uint8Array): this {
    return this.#extend('PolicyCpHash', digest)
  }

  nameHash(digest: Uint8Array): this {
    return this.#extend('PolicyNameHash', digest)
  }

  template(digest: Uint8Array): this {
    return this.#extend('PolicyTemplate', digest)
  }

  /** @param objectName - Included in the digest only when given: then the policy is for this very object. */
  duplicationSelect(newParentName: Uint8Array, objectName?: Uint8Array): this {
    return this.#extend(
      'PolicyDuplicationSelect',
      objectName ?? new Uint8Array(),
      newParentName,
      Uint8Array.of(objectName === undefined ? 0 : 1),
    )
  }

  physicalPresence(): this {
    return this.#extend('PolicyPhysicalPresence')
  }

  #reset(): void {
    this.#value = new Uint8Array(DIGEST_BYTES[this.hash])
  }

  #extend(command: CommandName, ...parts: readonly Uint8Array[]): this {
    this.#value = this.#digest(this.hash, this.#value, u32(COMMANDS[command].code), ...parts)
    return this
  }

  /** PolicyUpdate() of the specification: the assertion and its reference in two steps. */
  #update(command: CommandName, name: Uint8Array, policyRef: Uint8Array): this {
    this.#extend(command, name)
    this.#value = this.#digest(this.hash, this.#value, policyRef)
    return this
  }
}

function u32(value: number): Uint8Array<ArrayBuffer> {
  return new ByteWriter('big', 4).u32('code', value).finish()
}
