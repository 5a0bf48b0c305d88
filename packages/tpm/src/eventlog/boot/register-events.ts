import { EV, eventTypeName, isKnownEventType } from '../event-types.ts'
import type { TcgEvent, TcgLog } from '../tcg-log.ts'
import { logRefused } from './event-meaning.ts'
import type { EventMeaning } from './event-meaning.ts'
import type { ProofContext } from './measured-part.ts'
import { readBootEvent } from './read-event.ts'

export interface ReadEvent {
  readonly event: TcgEvent
  readonly meaning: EventMeaning
}

/** Where the registers of a TPM went in a confidential guest without one. PCR 0 has no equal: its part is in MRTD. */
const CCMR_OF_PCR = [undefined, 1, 2, 2, 2, 2, 2, 1, 3, 3, 3, 3, 3, 3, 3, 3] as const

/** The register that holds what a TPM would hold in this PCR; undefined when the log can have none. */
export function registerFor(log: TcgLog, pcr: number): number | undefined {
  return log.space === 'pcr' ? pcr : CCMR_OF_PCR[pcr]
}

/**
 * The events of some registers with their meanings, in order. Only the order within a register is proved.
 *
 * @throws {TpmError} `evidence.log` when one contradicts itself or is of a type that no specification names: what it
 *   would change cannot be told (C01).
 */
export function readRegisters(log: TcgLog, registers: readonly number[], context: ProofContext): readonly ReadEvent[] {
  return log.events
    .filter((event) => event.register !== 'none' && registers.includes(event.register) && event.type !== EV.NO_ACTION)
    .map((event) => {
      if (!isKnownEventType(event.type))
        throw logRefused(event.position, `${eventTypeName(event.type)} is no known type of event`)
      const meaning = readBootEvent(event, context)
      if (meaning.kind === 'contradiction') throw logRefused(event.position, meaning.reason)
      return { event, meaning }
    })
}

/** Guards what must be there exactly once: throws for the second. */
export class Once {
  readonly #seen = new Map<string, number>()

  /** @throws {TpmError} `evidence.log` when `what` was seen before (C03, C08). */
  see(what: string, { position }: TcgEvent): void {
    const before = this.#seen.get(what)
    if (before !== undefined) throw logRefused(position, `duplicate ${what}, first at event ${before}`)
    this.#seen.set(what, position)
  }

  has(what: string): boolean {
    return this.#seen.has(what)
  }

  /** @throws {TpmError} `evidence.log` when `what` was not seen. */
  require(what: string): void {
    if (!this.has(what)) throw logRefused(undefined, `there is no ${what}`)
  }
}
