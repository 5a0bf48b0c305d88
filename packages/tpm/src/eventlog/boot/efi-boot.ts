import { eventTypeName } from '../event-types.ts'
import type { GptTable } from '../efi/gpt.ts'
import type { TcgEvent, TcgLog } from '../tcg-log.ts'
import { logRefused } from './event-meaning.ts'
import type { ProofContext } from './measured-part.ts'
import { Once, readRegisters, registerFor } from './register-events.ts'
import type { ReadEvent } from './register-events.ts'

export interface EfiImage {
  /** Authenticode digest of the image in the attested bank. */
  readonly digest: Uint8Array
  /** Where the log says that it came from: not measured. */
  readonly untrustedPath?: string
}

export interface EfiBootFacts {
  /** Every image that ran as an application, in order: boot loaders and kernel. */
  readonly applications: readonly EfiImage[]
  readonly bootDrivers: readonly EfiImage[]
  readonly runtimeDrivers: readonly EfiImage[]
  readonly partitionTables: readonly GptTable[]
}

export interface EfiBootOptions {
  readonly applicationMayPrecedeBootOption: boolean
  readonly mayEndBeforeExit: boolean
}

const CALLING = 'Calling EFI Application from Boot Option'
const RETURNING = 'Returning from EFI Application from Boot Option'
const EXIT_INVOCATION = 'Exit Boot Services Invocation'
const EXIT_ACTIONS = [
  EXIT_INVOCATION,
  'Exit Boot Services Returned with Success',
  'Exit Boot Services Returned with Failure',
]

/**
 * What firmware started until the operating system took over: PCR 2, 4 and 5.
 *
 * @param options.applicationMayPrecedeBootOption - Accepts applications that ran before firmware said that it follows a
 *   boot option: vendors' tools on hardware, and kernels that QEMU loads. Required, since it widens what may run.
 * @param options.mayEndBeforeExit - Accepts a log that does not show how boot services ended. Some kernels take their copy
 *   too early; and a log that was cut is not told from those. Required.
 * @throws {TpmError} `evidence.log` naming the event that is not understood, or what is missing.
 */
export function readEfiBoot(log: TcgLog, context: ProofContext, options: EfiBootOptions): EfiBootFacts {
  const facts = { applications: [], bootDrivers: [], runtimeDrivers: [], partitionTables: [] } as Mutable
  const once = new Once()
  for (const pcr of registersOf(log)) {
    const separator = `separator of ${log.space} ${pcr}`
    for (const read of readRegisters(log, [pcr], context)) seeEvent(read, { facts, once, separator, options, context })
    once.require(separator)
  }
  if (!options.mayEndBeforeExit) once.require(EXIT_INVOCATION)
  return facts
}

type Mutable = { -readonly [K in keyof EfiBootFacts]: EfiBootFacts[K][number][] }

/** Register by register, since only the order within one is proved. */
function registersOf(log: TcgLog): readonly number[] {
  return [...new Set([2, 4, 5].map((pcr) => registerFor(log, pcr)).filter((register) => register !== undefined))]
}

interface Walk {
  readonly facts: Mutable
  readonly once: Once
  readonly separator: string
  readonly options: EfiBootOptions
  readonly context: ProofContext
}

/** Refuses whatever is not understood: an application with another label on it would otherwise go unseen (C01). */
function seeEvent({ event, meaning }: ReadEvent, walk: Walk): void {
  const { facts, once, separator, options } = walk
  switch (meaning.kind) {
    case 'separator':
      if (meaning.error) throw logRefused(event.position, 'firmware reports an error in its separator')
      once.see(separator, event)
      return
    case 'action':
      seeAction(meaning.text, event, once, separator)
      return
    case 'image': {
      const image = imageOf(event, meaning.untrustedPath, walk.context)
      if (meaning.role === 'boot driver') facts.bootDrivers.push(image)
      else if (meaning.role === 'runtime driver') facts.runtimeDrivers.push(image)
      else {
        if (!once.has(CALLING) && !options.applicationMayPrecedeBootOption)
          throw logRefused(event.position, 'an EFI application ran before CallingEFIApp event')
        facts.applications.push(image)
      }
      return
    }
    case 'partition-table':
      facts.partitionTables.push(meaning.table)
      return
    default:
      throw logRefused(event.position, `${eventTypeName(event.type)} is unexpected in register ${event.register}`)
  }
}

function seeAction(text: string, event: TcgEvent, once: Once, separator: string): void {
  if (text === CALLING) {
    if (once.has(separator)) throw logRefused(event.position, `${CALLING} comes after the separator`)
    once.see(CALLING, event)
  } else if (text === EXIT_INVOCATION) {
    // a kernel whose first attempt failed invokes it again
    if (!once.has(EXIT_INVOCATION)) once.see(EXIT_INVOCATION, event)
  } else if (text !== RETURNING && !EXIT_ACTIONS.includes(text))
    throw logRefused(event.position, `action ${JSON.stringify(text)} is unexpected`)
}

function imageOf(event: TcgEvent, untrustedPath: string | undefined, { bank }: ProofContext): EfiImage {
  const digest = event.digests.get(bank)
  if (digest === undefined) throw logRefused(event.position, `has no ${bank} digest`)
  return untrustedPath === undefined ? { digest } : { digest, untrustedPath }
}
