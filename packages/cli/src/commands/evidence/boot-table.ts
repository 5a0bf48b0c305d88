import { readFileSync } from 'node:fs'
import {
  type AgreementBody,
  agreementSchema,
  hardwareTermsSchema,
  parseSchema,
  parseStrictJson,
  toHex,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TpmError } from '@vouchsafe/tpm/codec'
import {
  describeEvent,
  type EventDescription,
  proofIn,
  type RegisterSpace,
  registerName,
  replayTcgLog,
  type TcgLog,
} from '@vouchsafe/tpm/eventlog'
import type { HashName } from '@vouchsafe/tpm/verify'
import pc from 'picocolors'
import { z } from 'zod'
import { table } from '../../table.ts'

/** What somebody accepts: pins as an agreement's `environment` holds them. */
export type Pins = Pick<AgreementBody['environment'], 'registers' | 'hardware'>

/** `unpinned`: any value would do, so nothing about these events is agreed. `none`: nobody said what is pinned. */
export type PinState = 'as pinned' | 'OTHER THAN PINNED' | 'unpinned' | 'none'

export interface BootEventRow extends EventDescription {
  readonly position: number
  /** What becomes of a register that this event extends. */
  readonly pin: PinState
}

export interface BootRegisterRow {
  readonly register: string
  readonly value: string
  /** Whether the log explains the value. */
  readonly log: 'replays' | 'DOES NOT REPLAY' | 'extends it not'
  readonly pin: PinState
}

export interface BootTable {
  readonly events: readonly BootEventRow[]
  readonly registers: readonly BootRegisterRow[]
}

const pinsSchema = z.object({
  registers: agreementSchema.shape.environment.shape.registers.default({}),
  hardware: hardwareTermsSchema.exactOptional(),
})

/** Pins out of an agreement's file, or as `vouchsafe reference pins` prints them. */
export function readPins(file: string): Pins {
  const json = parseStrictJson(new Uint8Array(readFileSync(file)), { maxBytes: 512 * 1024 })
  const isAgreement = typeof json === 'object' && json !== null && !Array.isArray(json) && 'environment' in json
  return parseSchema(pinsSchema, isAgreement ? json['environment'] : json, file)
}

/**
 * The boot in order: event, register, meaning, and which pin covers it. Nothing of it is verified.
 *
 * @param values - What the evidence says of the registers, by number.
 * @param pins - Null where nobody said what is pinned.
 */
export function bootTable(
  log: TcgLog,
  bank: HashName,
  values: ReadonlyMap<number, string>,
  pins: Pins | null,
): BootTable {
  const context = proofIn(bank, nodeCrypto)
  const stateOf = (register: number) => pinState(log.space, register, values.get(register), pins)
  const events = log.events.map((event) => ({
    position: event.position,
    ...describeEvent(event, log.space, context),
    pin: event.register === 'none' ? ('none' as const) : stateOf(event.register),
  }))
  const replayed = replayOf(log, bank)
  const registers = Array.from(values, ([n, value]): BootRegisterRow => {
    const explained = replayed.get(n)
    const how = explained === undefined ? 'extends it not' : explained === value ? 'replays' : 'DOES NOT REPLAY'
    return { register: registerName(n, log.space), value, log: how, pin: stateOf(n) }
  })
  return { events, registers }
}

/** A log that says what cannot be replays to nothing. */
function replayOf(log: TcgLog, bank: HashName): ReadonlyMap<number, string> {
  try {
    return new Map([...replayTcgLog(log, bank, nodeCrypto).registers].map(([n, value]) => [n, toHex(value)]))
  } catch (error) {
    if (error instanceof TpmError) return new Map()
    throw error
  }
}

const TD_PINS = ['mrTd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const

function pinState(space: RegisterSpace, register: number, value: string | undefined, pins: Pins | null): PinState {
  if (pins === null) return 'none'
  const name = TD_PINS[register]
  const pinned = space === 'pcr' ? pins.registers[String(register)] : name && pins.hardware?.tdx?.[name]
  if (pinned === undefined || pinned.length === 0 || typeof pinned === 'string') return 'unpinned'
  return value !== undefined && pinned.includes(value) ? 'as pinned' : 'OTHER THAN PINNED'
}

/** As people read it: in colour on a terminal. */
export function bootText({ events, registers }: BootTable): string {
  const eventRows = events.map((e) => [String(e.position).padStart(3), e.register, e.pin, e.proof, e.sentence])
  const registerRows = registers.map((r) => [r.register, r.pin, r.log, r.value])
  return [
    pc.bold('boot'),
    inColour(
      [['  #', 'register', 'pin', 'proof', 'meaning'], ...eventRows],
      events.map(({ pin, proof }) => (proof === 'contradiction' ? pc.red : toneOf(pin))),
    ),
    '',
    inColour(
      [['register', 'pin', 'log', 'value'], ...registerRows],
      registers.map((r) => (r.log === 'DOES NOT REPLAY' ? pc.red : toneOf(r.pin))),
    ),
  ].join('\n')
}

type Tone = (text: string) => string

function toneOf(pin: PinState): Tone {
  switch (pin) {
    case 'as pinned':
      return pc.green
    case 'OTHER THAN PINNED':
      return pc.red
    case 'unpinned':
      return pc.yellow
    case 'none':
      return (text) => text
  }
}

/** Whole lines, after their columns were made: colour takes room that nobody sees. */
function inColour(rows: readonly (readonly string[])[], tones: readonly Tone[]): string {
  const [head = '', ...lines] = table(rows).split('\n')
  return [pc.dim(head), ...lines.map((line, i) => (tones[i] ?? String)(line))].join('\n')
}
