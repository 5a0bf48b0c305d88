import type { Brand } from '../base/brand.ts'
import { VouchsafeError } from '../base/errors.ts'

/** Evidence whose signature and endorsements were checked. Only a verifier can make one. */
export type Verified<E> = Brand<Readonly<E>, 'Verified'>

class Given {
  constructor(object: object) {
    return object
  }
}

/**
 * Puts a private field on what it is given. Nobody else can put it there, and a copy does not have it; a weak set would say
 * the same, in a table that grows with all evidence since the last collection.
 */
class Mark extends Given {
  readonly #verified = true

  static isOn(object: object): boolean {
    return #verified in object && object.#verified
  }
}

/** @internal The last line of every `verify…` function. The copy is shallow: parsers keep private copies of bytes and hand none out. */
export function markVerified<E extends object>(evidence: E): Verified<E> {
  return Object.freeze(new Mark({ ...evidence })) as Verified<E>
}

/** Refuses evidence that no verifier made, so that a cast cannot stand in for a check. */
export function assertVerified(evidence: object): void {
  if (!Mark.isOn(evidence)) throw new VouchsafeError('internal', 'evidence was never verified')
}
