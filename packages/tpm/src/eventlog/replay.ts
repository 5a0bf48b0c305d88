import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import type { Bank } from './bank.ts'
import { EV } from './event-types.ts'
import { startupLocality } from './startup-locality.ts'
import type { RegisterSpace, TcgLog } from './tcg-log.ts'

/** What a log says the registers of one bank hold. Says nothing about a TPM until `verifyReplays` has compared it. */
export interface Replay<B extends Bank = HashName> {
  readonly space: RegisterSpace
  readonly bank: B
  /** Only registers that the log extends, or whose first value it states. */
  readonly registers: ReadonlyMap<number, Uint8Array>
}

/** One measurement to replay: any kind of log comes down to these. */
export interface Extension {
  readonly register: number
  readonly digest: Uint8Array
}

type Digest = (data: Uint8Array) => Uint8Array

/**
 * Replays a boot log in one bank: each register starts at zero, PCR 0 with the startup locality in its last byte, and
 * each event but EV_NO_ACTION makes it H(register ‖ digest).
 *
 * @throws {TpmError} `evidence.log` when the log has no such bank, extends nothing, or states a startup locality that
 *   cannot be.
 */
export function replayTcgLog(log: TcgLog, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): Replay {
  return replayTcgLogWith(log, bank, (data) => crypto.digest(bank, data))
}

/** As `replayTcgLog`, for a bank whose hash the crypto port does not have, such as SM3. */
export function replayTcgLogWith<B extends Bank>(log: TcgLog, bank: B, digest: Digest): Replay<B> {
  const first = new Map<number, Uint8Array>()
  const locality = startupLocality(log)
  if (locality !== 0) first.set(0, initialValue(bank, locality))
  return replayExtensions(log.space, bank, extensionsOf(log, bank), digest, first)
}

/** Replays bare measurements: the common end of all kinds of log. `first` holds starting values other than zero. */
export function replayExtensions<B extends Bank>(
  space: RegisterSpace,
  bank: B,
  extensions: Iterable<Extension>,
  digest: Digest,
  first: ReadonlyMap<number, Uint8Array> = new Map(),
): Replay<B> {
  const registers = new Map(first)
  const zero = initialValue(bank, 0)
  // old value and digest side by side in one buffer: hashing one piece is several times faster than hashing two
  const both = new Uint8Array(2 * zero.length)
  let extended = false
  for (const { register, digest: measured } of extensions) {
    if (measured.length !== zero.length)
      throw new TpmError('input.malformed', `a ${bank} digest of ${measured.length} bytes`)
    both.set(registers.get(register) ?? zero)
    both.set(measured, zero.length)
    registers.set(register, digest(both))
    extended = true
  }
  if (!extended) throw new TpmError('evidence.log', `the log extends no register of the ${bank} bank`)
  return { space, bank, registers }
}

function* extensionsOf(log: TcgLog, bank: Bank): Generator<Extension> {
  for (const event of log.events) {
    if (event.type === EV.NO_ACTION || event.register === 'none') continue
    const digest = event.digests.get(bank)
    if (digest === undefined)
      throw new TpmError('evidence.log', `the log has no ${bank} bank, only ${log.banks.join(', ')}`)
    yield { register: event.register, digest }
  }
}

function initialValue(bank: Bank, lastByte: number): Uint8Array {
  const value = new Uint8Array(DIGEST_BYTES[bank])
  value[value.length - 1] = lastByte
  return value
}
