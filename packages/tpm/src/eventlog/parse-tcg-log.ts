import { ByteReader } from '../codec/byte-reader.ts'
import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import { bankOfAlgorithm } from './bank.ts'
import type { Bank } from './bank.ts'
import { EV } from './event-types.ts'
import { LAST_REGISTER, SPEC_ID_03, startsWith } from './tcg-log.ts'
import type { RegisterSpace, SpecIdHeader, TcgEvent, TcgLog } from './tcg-log.ts'

/** Bounds far above every log seen in practice (0.1 MiB, 160 events). */
const MAX_LOG_BYTES = 16 * 1024 * 1024
const MAX_EVENTS = 65_536
const MAX_EVENT_BYTES = 1024 * 1024
const MAX_BANKS = 16

const NO_REGISTER = 0xffffffff

/**
 * Reads a TPM's boot log (`binary_bios_measurements`): crypto-agile, or the older SHA-1 form, told apart by the first
 * record. Nothing in the result is authentic: replay it against quoted registers first.
 *
 * @param bytes - The whole log, little-endian, with nothing after its last event. Copied.
 * @throws {TpmError} `input.malformed`, naming event, field and offset; `input.too-large`; `evidence.unsupported` for a
 *   specification version other than 2.0 or a digest algorithm that the TCG registry does not name.
 * @source TCG PC Client Platform Firmware Profile 1.06: Event Logging
 */
export function parseTcgLog(bytes: Uint8Array): TcgLog {
  return parse(bytes, 'pcr')
}

/**
 * Reads the log area of a confidential guest without TPM (ACPI table CCEL). The area is larger than its log: what follows
 * the last event must be 0xFF to the end (UEFI firmware) or zero to the end (TD-shim).
 *
 * @param bytes - The area. Copied.
 * @throws {TpmError} As `parseTcgLog`.
 * @source UEFI 2.10: Confidential Computing; ACPI 6.5: CCEL
 */
export function parseCcelLog(bytes: Uint8Array): TcgLog {
  return parse(bytes, 'ccmr')
}

function parse(input: Uint8Array, space: RegisterSpace): TcgLog {
  if (input.length > MAX_LOG_BYTES)
    throw new TpmError('input.too-large', `event log: ${input.length} bytes are over ${MAX_LOG_BYTES}`)
  const bytes = new Uint8Array(input)
  const r = new ByteReader('event log', bytes, 'little')
  if (bytes.length === 0) throw r.malformed('header', 'the log is empty')
  const first = inEvent(0, (position) => readSha1Event(r, position, space))
  if (first.type === EV.NO_ACTION && startsWith(first.data, SPEC_ID_03)) {
    const { header, banks } = readHeader(first, space)
    const events = readEvents(r, space, 1, (position) => readAgileEvent(r, position, space, banks))
    return { format: 'crypto-agile', space, header, banks, events }
  }
  if (space === 'ccmr') throw r.malformed('header', 'a CCEL log must be crypto-agile')
  const events = [first, ...readEvents(r, space, 1, (position) => readSha1Event(r, position, space))]
  return { format: 'sha1', space, banks: ['sha1'], events }
}

function readEvents(r: ByteReader, space: RegisterSpace, from: number, read: (position: number) => TcgEvent) {
  const events: TcgEvent[] = []
  while (r.remaining > 0) {
    if (space === 'ccmr' && isPadding(r.bytes.subarray(r.offset))) break
    if (events.length === MAX_EVENTS) throw new TpmError('input.too-large', `event log: more than ${MAX_EVENTS} events`)
    events.push(inEvent(from + events.length, read))
  }
  return events
}

/** Names the event in errors of its fields. */
function inEvent(position: number, read: (position: number) => TcgEvent): TcgEvent {
  try {
    return read(position)
  } catch (error) {
    if (!(error instanceof TpmError)) throw error
    throw new TpmError(error.code, `event ${position}: ${error.message}`, { cause: error })
  }
}

/** All 0xFF or all zero: never an event, whose digest count is neither. Stops at the first byte that differs. */
function isPadding(rest: Uint8Array): boolean {
  const fill = rest[0]
  return (fill === 0xff || fill === 0) && rest.every((byte) => byte === fill)
}

function readSha1Event(r: ByteReader, position: number, space: RegisterSpace): TcgEvent {
  const { register, type } = readRegisterAndType(r, space)
  const digest = r.view('digest', 20)
  return {
    position,
    register,
    type,
    digests: new Map<Bank, Uint8Array>([['sha1', digest]]),
    data: readData(r),
  }
}

function readAgileEvent(r: ByteReader, position: number, space: RegisterSpace, banks: readonly Bank[]): TcgEvent {
  const { register, type } = readRegisterAndType(r, space)
  const count = r.u32('digest count')
  if (count !== banks.length)
    throw r.malformed('digest count', `${count}, but the header declares ${banks.length} algorithms`)
  const digests = new Map<Bank, Uint8Array>()
  for (let i = 0; i < count; i++) {
    const algorithm = r.u16('digest algorithm')
    const bank = bankOfAlgorithm(algorithm)
    if (bank === undefined || !banks.includes(bank))
      throw r.malformed('digest algorithm', `${hex(algorithm)} is not declared in the header`)
    if (digests.has(bank)) throw r.malformed('digest algorithm', `${bank} occurs twice`)
    digests.set(bank, r.view('digest', DIGEST_BYTES[bank]))
  }
  return { position, register, type, digests, data: readData(r) }
}

function readRegisterAndType(r: ByteReader, space: RegisterSpace) {
  const index = r.u32('register')
  const type = r.u32('type')
  if (index <= LAST_REGISTER[space]) return { register: index, type }
  if (index === NO_REGISTER && type === EV.NO_ACTION) return { register: 'none' as const, type }
  throw r.malformed('register', `${hex(index)} is over ${LAST_REGISTER[space]}`)
}

function readData(r: ByteReader): Uint8Array {
  const size = r.u32('size')
  if (size > MAX_EVENT_BYTES) throw r.malformed('size', `${size} is over ${MAX_EVENT_BYTES}`)
  return r.view('data', size)
}

function readHeader(first: TcgEvent, space: RegisterSpace): { header: SpecIdHeader; banks: readonly Bank[] } {
  const r = new ByteReader('event log header', first.data, 'little')
  if (first.register === 'none') throw r.malformed('register', `over ${LAST_REGISTER[space]}`)
  if (first.digests.get('sha1')?.some((byte) => byte !== 0)) throw r.malformed('digest', 'not zero')
  r.view('signature', SPEC_ID_03.length)
  const platformClass = r.u32('platformClass')
  const minor = r.u8('specVersionMinor')
  const major = r.u8('specVersionMajor')
  if (major !== 2 || minor !== 0)
    throw new TpmError('evidence.unsupported', `event log header: specification version ${major}.${minor}, wanted 2.0`)
  const errata = r.u8('specErrata')
  const uintnSize = r.u8('uintnSize')
  const count = r.count('numberOfAlgorithms', MAX_BANKS)
  if (count === 0) throw r.malformed('numberOfAlgorithms', 'no algorithm is declared')
  const banks: Bank[] = []
  for (let i = 0; i < count; i++) banks.push(readAlgorithm(r, banks))
  const vendorInfo = r.view('vendorInfo', r.u8('vendorInfoSize'))
  r.end()
  return { header: { register: first.register, platformClass, errata, uintnSize, vendorInfo }, banks }
}

function readAlgorithm(r: ByteReader, before: readonly Bank[]): Bank {
  const algorithm = r.u16('algorithm')
  const digestBytes = r.u16('digestSize')
  const bank = bankOfAlgorithm(algorithm)
  if (bank === undefined)
    throw new TpmError('evidence.unsupported', `event log header: digest algorithm ${hex(algorithm)} is not known`)
  if (digestBytes !== DIGEST_BYTES[bank])
    throw r.malformed('digestSize', `${digestBytes} for ${bank}, wanted ${DIGEST_BYTES[bank]}`)
  if (before.includes(bank)) throw r.malformed('algorithm', `${bank} is declared twice`)
  return bank
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
