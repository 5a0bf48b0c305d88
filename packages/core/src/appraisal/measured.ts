import { type ImaEvent, type TcgLog, describeEvent, proofIn } from '@vouchsafe/tpm/eventlog'
import type { CryptoPort } from '../base/crypto.ts'
import { toHex } from '../base/encoding.ts'
import type { VerifiedPlatformEvidence } from '../evidence/platform/verify-platform-evidence.ts'
import type { VerifiedTpmEvidence } from '../evidence/tpm/verify-tpm-evidence.ts'
import type { HardwareFacts } from '../evidence/hardware/verify-hardware-evidence.ts'
import { assertVerified } from '../evidence/verified.ts'

/** What was measured into a register, in order: a phrase an event. */
export type Measured = (register: number) => readonly string[]

/** The same of a TD, by the log that replays to its registers: RTMR n is n + 1. Nothing where it showed no log. */
export function measuredInTd(hardware: HardwareFacts['hardware'], crypto: CryptoPort): Measured {
  if (hardware.format !== 'tdx' || hardware.eventLog === 'none') return () => []
  const { log } = hardware.eventLog
  return (register) => bootEvents(log, register, crypto, 'sha384')
}

const MAX_PHRASE = 240

/**
 * The events that the registers' values come from, by the logs that replay to them. Only what their digests prove is told
 * as such; what a log merely says stands in quotes and is named so.
 */
export function measuredIn(evidence: VerifiedTpmEvidence | VerifiedPlatformEvidence, crypto: CryptoPort): Measured {
  assertVerified(evidence)
  return (register) => [
    ...bootEvents(evidence.bootLog, register, crypto),
    ...evidence.imaLog.flatMap((event, i) =>
      event.register === register ? [`IMA record ${i}, ${describeIma(event)}`] : [],
    ),
  ]
}

function bootEvents(
  log: TcgLog,
  register: number,
  crypto: CryptoPort,
  bank: 'sha256' | 'sha384' = 'sha256',
): readonly string[] {
  const context = proofIn(bank, crypto)
  return log.events
    .filter((event) => event.register === register)
    .map((event) => ({ event, ...describeEvent(event, log.space, context) }))
    .filter(({ proof }) => proof !== 'not measured')
    .map(({ event, sentence }) => `event ${event.position}, ${cut(sentence)}`)
}

/** The kernel writes ASCII paths as they are; a path may hold anything, and people see printable characters only. */
function describeIma({ violation, entry, template }: ImaEvent): string {
  if (violation) return 'a file that was written while it was measured'
  if (entry === undefined) return `of template ${cut(template)}`
  return cut(`${JSON.stringify(entry.path.replaceAll(/[^\x20-\x7e]/g, '?'))} ${entry.hash} ${toHex(entry.digest)}`)
}

function cut(text: string): string {
  return text.length > MAX_PHRASE ? `${text.slice(0, MAX_PHRASE)}…` : text
}
