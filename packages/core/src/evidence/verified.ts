import type { Brand } from '../base/brand.ts'
import { VouchsafeError } from '../base/errors.ts'

/** Evidence whose signature and endorsements were checked. Only a verifier can make one. */
export type Verified<E> = Brand<Readonly<E>, 'Verified'>

const verified = new WeakSet<object>()

/** @internal The last line of every `verify…` function. The copy is shallow: parsers keep private copies of bytes and hand none out. */
export function markVerified<E extends object>(evidence: E): Verified<E> {
  const copy = Object.freeze({ ...evidence }) as Verified<E>
  verified.add(copy)
  return copy
}

/** Refuses evidence that no verifier made, so that a cast cannot stand in for a check. */
export function assertVerified(evidence: object): void {
  if (!verified.has(evidence)) throw new VouchsafeError('internal', 'evidence was never verified')
}
