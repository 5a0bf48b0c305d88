import { isComputable } from './bank.ts'
import { EV } from './event-types.ts'
import { measuredEvent } from './measured-event.ts'
import { replayTcgLog } from './replay.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import type { TcgEvent, TcgLog } from './tcg-log.ts'

const INVOCATION = 'Exit Boot Services Invocation'
const SUCCESS = 'Exit Boot Services Returned with Success'
const FAILURE = 'Exit Boot Services Returned with Failure'

/** What firmware measures into PCR 5 after some kernels have already taken their copy of the log. */
const ENDINGS = [
  [INVOCATION, SUCCESS],
  [INVOCATION, FAILURE],
  [INVOCATION, FAILURE, SUCCESS],
] as const

/**
 * Some firmware records leaving boot services too late for the kernel's copy of the log, so that PCR 5 holds two or three
 * events which the log lacks. Finds the ending that explains `pcr5`.
 *
 * Nothing is taken on trust: the added digests are constants, and the register itself must equal the longer replay.
 *
 * @returns The log with the missing events, to be replayed in place of the one given; undefined when none is missing or
 *   no ending fits.
 */
export function completeExitBootServices(
  log: TcgLog,
  bank: HashName,
  pcr5: Uint8Array,
  crypto: Pick<VerifyCrypto, 'digest'>,
): { readonly log: TcgLog; readonly added: readonly string[] } | undefined {
  const candidates = [[], ...ENDINGS].map((added) => ({ added, log: append(log, added, crypto) }))
  const found = candidates.find((candidate) => {
    const value = replayTcgLog(candidate.log, bank, crypto).registers.get(5)
    return value !== undefined && value.length === pcr5.length && value.every((byte, i) => byte === pcr5[i])
  })
  return found === undefined || found.added.length === 0 ? undefined : found
}

function append(log: TcgLog, actions: readonly string[], crypto: Pick<VerifyCrypto, 'digest'>): TcgLog {
  const next = (log.events.at(-1)?.position ?? 0) + 1
  const added = actions.map((action, i): TcgEvent => {
    const data = Uint8Array.from(action, (c) => c.charCodeAt(0))
    const event = measuredEvent({ register: 5, type: EV.EFI_ACTION, data }, log.banks.filter(isComputable), crypto)
    return { ...event, position: next + i }
  })
  return { ...log, events: [...log.events, ...added] }
}
