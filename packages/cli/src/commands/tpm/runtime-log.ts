import { readFileSync } from 'node:fs'
import { toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import {
  type EventDescription,
  type Replay,
  describeCelRecord,
  describeImaEvent,
  imaDigest,
  parseCel,
  parseImaAsciiLog,
  parseImaLog,
  replayCel,
  replayIma,
} from '@vouchsafe/tpm/eventlog'
import type { HashName } from '@vouchsafe/tpm/verify'
import { UsageError } from '../../output.ts'
import { parseBank } from './arguments.ts'

/** Where the kernel's list of what it read is, in the form that holds all of it. */
export const KERNEL_IMA_LIST = '/sys/kernel/security/ima/binary_runtime_measurements'

export type ShownEvent = EventDescription & {
  readonly position: number
  readonly digest: string
  readonly dataBytes: number
}

export interface ShownLog {
  readonly bank: HashName
  readonly events: readonly ShownEvent[]
  /** Of a log in which a record is not what was measured there is none. */
  readonly replay: Replay | null
}

/** The kernel's list of what it measured since it runs, binary or as text. */
export function showImaList(file: string, wanted: string | undefined): ShownLog {
  const bytes = bytesOf(file)
  // a list in binary begins with a register's number in four bytes, of which the last three are zero
  const isText = bytes.length > 1 && bytes[1] !== 0
  const log = isText ? parseImaAsciiLog(new TextDecoder('utf-8', { fatal: false }).decode(bytes)) : parseImaLog(bytes)
  const bank = wanted === undefined ? 'sha256' : parseBank(wanted)
  const events = log.map((event, position) => ({
    position,
    digest: imaDigest(event, bank, nodeCrypto),
    dataBytes: event.templateData.length,
    ...describeImaEvent(event, nodeCrypto),
  }))
  return { bank, events, replay: replayed(events, () => replayIma(log, bank, nodeCrypto)) }
}

/** A canonical event log: what a launcher or an agent measured. */
export function showCanonicalLog(file: string, wanted: string | undefined): ShownLog {
  const log = parseCel(bytesOf(file))
  const has = (['sha256', 'sha384', 'sha512', 'sha1'] as const).filter((b) => log.every((r) => r.digests.has(b)))
  const bank = wanted === undefined ? has[0] : has.find((b) => b === parseBank(wanted))
  if (bank === undefined)
    throw new UsageError(
      `no bank ${wanted ?? 'in common'}: there are ${has.join(', ')}`,
      'name one that is there with --bank',
    )
  const events = log.map((record, position) => ({
    position,
    digest: toHex(record.digests.get(bank) ?? new Uint8Array()),
    dataBytes: record.content.value.length,
    ...describeCelRecord(record, bank, nodeCrypto),
  }))
  return { bank, events, replay: replayed(events, () => replayCel(log, bank, nodeCrypto)) }
}

function replayed(events: readonly ShownEvent[], replay: () => Replay): Replay | null {
  return events.some((e) => e.proof === 'contradiction') ? null : replay()
}

function bytesOf(file: string): Uint8Array {
  return new Uint8Array(readFileSync(file === '-' ? 0 : file))
}
