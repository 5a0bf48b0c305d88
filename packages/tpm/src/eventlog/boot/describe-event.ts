import { TpmError } from '../../codec/errors.ts'
import { parseBootOption, parseBootOrder } from '../efi/boot-option.ts'
import { parseSignatureDatabase } from '../efi/signature-list.ts'
import { decodeUtf8, withoutNul } from '../efi/text.ts'
import type { EfiVariable } from '../efi/variable.ts'
import { eventTypeName } from '../event-types.ts'
import { toHex } from '../hex.ts'
import { quoted } from '../quoted.ts'
import type { RegisterSpace, TcgEvent } from '../tcg-log.ts'
import type { EventMeaning } from './event-meaning.ts'
import type { ProofContext } from './measured-part.ts'
import { readBootEvent } from './read-event.ts'

/** How far an event can be believed once its log has been replayed. */
export type EventProof =
  /** The digest covers what the sentence says. */
  | 'proved'
  /** The digest names what was measured, but the log does not hold it. Names and paths are the log's word. */
  | 'digest only'
  /** Extends no register: anyone may have written it. */
  | 'not measured'
  /** What the log says is not what was measured. */
  | 'contradiction'

export interface EventDescription {
  /** `PCR 7`, `RTMR 0`, `MRTD`, or `no register`. */
  readonly register: string
  readonly type: string
  readonly proof: EventProof
  /** One sentence for people, without full stop. Text from the log is in quotes, cut and without control characters. */
  readonly sentence: string
}

/** What an event of a log means, for people. */
export function describeEvent(event: TcgEvent, space: RegisterSpace, context: ProofContext): EventDescription {
  const meaning = readBootEvent(event, context)
  return {
    register: registerName(event.register, space),
    type: eventTypeName(event.type),
    proof: PROOF[meaning.kind],
    sentence: sentenceOf(meaning, event, context),
  }
}

const PROOF = {
  separator: 'proved',
  'firmware-version': 'proved',
  'gce-technology': 'proved',
  action: 'proved',
  variable: 'proved',
  authority: 'proved',
  'authority-setting': 'proved',
  'boot-variable': 'proved',
  'partition-table': 'proved',
  'grub-command': 'proved',
  'kernel-command-line': 'proved',
  'module-command-line': 'proved',
  data: 'proved',
  image: 'digest only',
  file: 'digest only',
  'load-options': 'digest only',
  initrd: 'digest only',
  'digest-only': 'digest only',
  'startup-locality': 'not measured',
  information: 'not measured',
  contradiction: 'contradiction',
} as const satisfies Record<EventMeaning['kind'], EventProof>

/** The register's name as the hardware's makers write it. */
export function registerName(register: number | 'none', space: RegisterSpace): string {
  if (register === 'none') return 'no register'
  if (space === 'pcr') return `PCR ${register}`
  return register === 0 ? 'MRTD' : `RTMR ${register - 1}`
}

function sentenceOf(meaning: EventMeaning, event: TcgEvent, { bank }: ProofContext): string {
  const digest = `${bank} ${toHex(event.digests.get(bank) ?? new Uint8Array()).slice(0, 16)}…`
  switch (meaning.kind) {
    case 'separator':
      return meaning.error ? 'firmware reports an error' : 'firmware hands over: what follows here is not its own'
    case 'firmware-version':
      return typeof meaning.version === 'string'
        ? `firmware version ${quoted(meaning.version)}`
        : `firmware version ${toHex(meaning.version.slice(0, 32))}`
    case 'gce-technology':
      return meaning.technology === 'none'
        ? "Google's firmware sees no confidential computing technology"
        : `Google's firmware runs under ${meaning.technology}`
    case 'action':
      return `firmware says ${quoted(meaning.text)}`
    case 'variable':
      return `firmware variable ${describeVariable(meaning.variable)}`
    case 'authority': {
      const { name, certificate, owner } = meaning.authority
      const enrolledBy = owner === undefined ? '' : `, enrolled by ${owner}`
      return `an image was checked with a certificate of ${count(certificate.length, 'byte')} from ${quoted(name)}${enrolledBy}`
    }
    case 'authority-setting':
      return `shim's setting ${describeVariable(meaning.variable)}`
    case 'boot-variable':
      return `boot variable ${describeBootVariable(meaning.untrustedName, meaning.data)}`
    case 'partition-table': {
      const { diskId, partitions } = meaning.table
      return `partition table of disk ${diskId} with ${count(partitions.length, 'partition')}`
    }
    case 'grub-command':
      return `GRUB ran ${quoted(meaning.text)}`
    case 'kernel-command-line':
      return `kernel command line ${quoted(meaning.text, 2000)}`
    case 'module-command-line':
      return `GRUB loaded a module with ${quoted(meaning.text)}`
    case 'data':
      return describeData(meaning.data)
    case 'image': {
      const path = meaning.untrustedPath === undefined ? '' : `, from ${quoted(meaning.untrustedPath)} as the log says`
      return `started ${meaning.role} ${digest}${path}`
    }
    case 'file':
      return meaning.untrustedName === undefined
        ? `read file ${digest}`
        : `read file ${digest}, ${quoted(meaning.untrustedName)} as the log says`
    case 'load-options':
      return `the kernel's stub was started with command line ${digest}`
    case 'initrd':
      return `the kernel's stub loaded initial RAM disk ${digest}`
    case 'digest-only':
      return meaning.untrustedText === undefined
        ? `measured ${digest}`
        : `measured ${digest}, ${quoted(meaning.untrustedText)} as the log says`
    case 'startup-locality':
      return `the TPM was started from locality ${meaning.locality}: the replay of PCR 0 proves it`
    case 'information':
      return meaning.untrustedText === undefined
        ? `information of ${count(event.data.length, 'byte')}`
        : `information ${quoted(meaning.untrustedText)}`
    case 'contradiction':
      return meaning.reason
  }
}

function describeVariable({ name, data }: EfiVariable): string {
  if (name === 'SecureBoot') return `SecureBoot is ${data.length === 1 && data[0] === 1 ? 'on' : 'off'}`
  if (!['PK', 'KEK', 'db', 'dbx', 'dbt', 'dbr'].includes(name))
    return `${quoted(name)} with ${count(data.length, 'byte')}`
  const entries = attempt(() => parseSignatureDatabase(data))
  if (entries === undefined) return `${name}, which cannot be read`
  const { certificates, hashes, others } = entries
  const rest = others.length === 0 ? '' : ` and ${count(others.length, 'other entry', 'other entries')}`
  return `${name} holds ${count(certificates.length, 'certificate')}, ${count(hashes.length, 'hash', 'hashes')}${rest}`
}

/** The name is not measured, so contents are read by form: an even number of bytes that is no option is an order. */
function describeBootVariable(untrustedName: string, data: Uint8Array): string {
  const name = `${quoted(untrustedName)} as the log says`
  const option = attempt(() => parseBootOption(data))
  if (option !== undefined) return `${name}: ${quoted(option.description)} at ${quoted(option.path)}`
  const order = data.length <= 64 ? attempt(() => parseBootOrder(data)) : undefined
  if (order === undefined) return `${name}: ${data.length} bytes`
  return `${name}: order ${order.map((n) => n.toString(16).padStart(4, '0')).join(', ')}`
}

function describeData(data: Uint8Array): string {
  const text = decodeUtf8(data)
  if (text !== undefined && /^[\x20-\x7e]{2,}\0?$/.test(text)) return `measured ${quoted(withoutNul(text))}`
  return `measured ${count(data.length, 'byte')}: ${toHex(data.slice(0, 16))}${data.length > 16 ? '…' : ''}`
}

function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof TpmError) return undefined // shown as bytes: a description must not fail
    throw error
  }
}
