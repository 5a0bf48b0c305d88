import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import type { HashName } from '../verify/crypto.ts'
import { toHex } from './hex.ts'
import type { Replay } from './replay.ts'
import type { RegisterSpace } from './tcg-log.ts'

/** Register values that a verified quote or report vouches for. */
export interface AttestedRegisters {
  readonly space: RegisterSpace
  readonly bank: HashName
  readonly values: ReadonlyMap<number, Uint8Array>
}

/** What the logs explain of the attested registers. Each attested register is in exactly one of the three lists. */
export interface Coverage {
  /** Equal to the replay of a log: every event of that log in this register happened, in that order. */
  readonly replayed: readonly number[]
  /** No log writes them and they hold their reset value: nothing was measured. */
  readonly untouched: readonly number[]
  /** Hold a value that no log explains; accepted because the caller named them. Nothing is known of them. */
  readonly unexplained: readonly number[]
}

/**
 * Compares the replays of one or more logs with attested registers. Each register belongs to one log at most; one that
 * no log writes must hold its reset value: zero, for PCR 17 to 22 also all ones.
 *
 * @param options.mayBeUnexplained - Registers that may hold a value which no log explains. Required; usually empty.
 * @throws {TpmError} `evidence.log` naming the register, what the log gives and what was attested; also when a log
 *   writes a register that was not attested, when two logs write the same register, and when there is no log.
 */
export function verifyReplays(
  replays: readonly Replay[],
  attested: AttestedRegisters,
  options: { readonly mayBeUnexplained: readonly number[] },
): Coverage {
  if (replays.length === 0) throw refused('there is no log to compare with')
  const replayed = merge(replays, attested)
  const coverage = { replayed: [] as number[], untouched: [] as number[], unexplained: [] as number[] }
  for (const register of replayed.keys())
    if (!attested.values.has(register))
      throw refused(`the log writes ${attested.space} ${register}, which was not attested`)
  for (const [register, value] of [...attested.values].sort(([a], [b]) => a - b)) {
    const expected = replayed.get(register)
    if (value.length !== DIGEST_BYTES[attested.bank])
      throw refused(`${attested.space} ${register} has ${value.length} bytes, which is no ${attested.bank} value`)
    if (expected !== undefined) {
      if (!same(expected, value)) throw mismatch(attested, register, toHex(expected), value)
      coverage.replayed.push(register)
    } else if (isResetValue(attested.space, register, value)) coverage.untouched.push(register)
    else if (options.mayBeUnexplained.includes(register)) coverage.unexplained.push(register)
    else throw mismatch(attested, register, 'no event for it', value)
  }
  return coverage
}

function merge(replays: readonly Replay[], attested: AttestedRegisters): ReadonlyMap<number, Uint8Array> {
  const merged = new Map<number, Uint8Array>()
  for (const { space, bank, registers } of replays) {
    if (space !== attested.space || bank !== attested.bank)
      throw refused(`the log was replayed as ${space} ${bank}, but ${attested.space} ${attested.bank} was attested`)
    for (const [register, value] of registers) {
      if (merged.has(register)) throw refused(`two logs write ${space} ${register}`)
      merged.set(register, value)
    }
  }
  return merged
}

/** @source TCG PC Client Platform TPM Profile: PCR attributes: 17 to 22 reset to all ones, by a dynamic launch to zero */
function isResetValue(space: RegisterSpace, register: number, value: Uint8Array): boolean {
  const dynamic = space === 'pcr' && register >= 17 && register <= 22
  return value.every((byte) => byte === 0) || (dynamic && value.every((byte) => byte === 0xff))
}

function mismatch(attested: AttestedRegisters, register: number, found: string, value: Uint8Array): TpmError {
  const name = `${attested.space} ${register} (${attested.bank})`
  return refused(`${name}: the log gives ${found}, attested was ${toHex(value)}`)
}

function refused(why: string): TpmError {
  return new TpmError('evidence.log', why)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
