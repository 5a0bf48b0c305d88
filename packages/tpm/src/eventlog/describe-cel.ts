import { TpmError } from '../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import type { EventDescription } from './boot/describe-event.ts'
import { registerName } from './boot/describe-event.ts'
import { CEL_CONTENT } from './cel-record.ts'
import type { CelRecord } from './cel-record.ts'
import { CONFIDENTIAL_SPACE_EVENTS, nestedEvent } from './confidential-space.ts'
import { decodeUtf8 } from './efi/text.ts'
import { toHex } from './hex.ts'
import { decodeLaunchEvent } from './launch-event.ts'
import type { LaunchEvent } from './launch-event.ts'
import { quoted } from './quoted.ts'
import { contentDigest } from './replay-cel.ts'

/** What a record of a canonical event log means, for people, and how far its digest in this bank proves that. */
export function describeCelRecord(
  record: CelRecord,
  bank: HashName,
  crypto: Pick<VerifyCrypto, 'digest'>,
): EventDescription {
  const { type, value } = record.content
  const head = { register: registerName(record.register, record.space), type: typeName(type) }
  try {
    contentDigest(record, 0, bank, crypto)
  } catch (error) {
    if (!(error instanceof TpmError)) throw error
    const why = record.digests.has(bank) ? 'the content is not the one measured' : `there is no ${bank} digest`
    return { ...head, proof: 'contradiction', sentence: why }
  }
  return { ...head, proof: 'proved', sentence: attempt(() => sentenceOf(type, value)) ?? measured(value) }
}

function typeName(type: number): string {
  const [name] = Object.entries(CEL_CONTENT).find(([, number]) => number === type) ?? []
  return name === undefined ? `content ${type}` : NAMES[name as keyof typeof NAMES]
}

const NAMES = {
  launch: 'launch',
  confidentialSpace: 'Confidential Space',
  confidentialSpaceHost: 'Confidential Space host',
} as const satisfies Record<keyof typeof CEL_CONTENT, string>

function sentenceOf(type: number, content: Uint8Array): string {
  if (type === CEL_CONTENT.launch) return launchSentence(decodeLaunchEvent(content))
  if (type !== CEL_CONTENT.confidentialSpace && type !== CEL_CONTENT.confidentialSpaceHost) return measured(content)
  const { type: kind, value } = nestedEvent(content, 'event')
  if (type === CEL_CONTENT.confidentialSpaceHost) {
    if (kind === 0) return `the host has CPU ${toHex(value)}`
    return kind === 1 ? CLOSED : measured(content)
  }
  const name = CONFIDENTIAL_SPACE_EVENTS[kind]
  if (name === undefined) return measured(content)
  if (name === 'LaunchSeparator') return value.length === 0 ? CLOSED : 'the launch failed'
  if (name === 'MemoryMonitor') return `memory monitoring is ${value.length === 1 && value[0] === 1 ? 'on' : 'off'}`
  const text = decodeUtf8(value)
  return text === undefined ? `${name} of ${value.length} bytes` : `${name} ${quoted(text)}`
}

const CLOSED = 'the launch is closed: nothing may follow'

function launchSentence(event: LaunchEvent): string {
  if (event.kind === 'separator') return CLOSED
  if (event.kind === 'env') return `env ${event.name}=${quoted(event.value)}`
  const { value } = event
  if (typeof value === 'object')
    return `${event.kind} ${value.length === 0 ? 'none' : value.map((v) => quoted(v)).join(' ')}`
  return `${event.kind} ${typeof value === 'string' ? quoted(value) : value ? 'yes' : 'no'}`
}

function measured(content: Uint8Array): string {
  return `measured ${content.length} bytes: ${toHex(content.slice(0, 16))}${content.length > 16 ? '…' : ''}`
}

function attempt(read: () => string): string | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof TpmError) return undefined // shown as bytes: a description must not fail
    throw error
  }
}
