import { DIGEST_BYTES } from '../codec/algorithms.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import type { Bank } from './bank.ts'
import { EV } from './event-types.ts'
import type { TcgEvent } from './tcg-log.ts'

export type NewTcgEvent = Omit<TcgEvent, 'position'>

/**
 * An event as whoever measures it would log it.
 *
 * @param event.measured - What is hashed. Default: the event's own data, as the specification has it for separators,
 *   actions and variables; not so for images, files and tables.
 */
export function measuredEvent(
  event: {
    readonly register: number
    readonly type: number
    readonly data: Uint8Array
    readonly measured?: Uint8Array
  },
  banks: readonly HashName[],
  crypto: Pick<VerifyCrypto, 'digest'>,
): NewTcgEvent {
  const { register, type, data, measured = data } = event
  return { register, type, data, digests: new Map(banks.map((bank) => [bank, crypto.digest(bank, measured)])) }
}

/** An event that extends nothing: information for the verifier, with zero digests. */
export function noActionEvent(register: number | 'none', data: Uint8Array, banks: readonly Bank[]): NewTcgEvent {
  const digests = new Map(banks.map((bank) => [bank, new Uint8Array(DIGEST_BYTES[bank])]))
  return { register, type: EV.NO_ACTION, data, digests }
}
