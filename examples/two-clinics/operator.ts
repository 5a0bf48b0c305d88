import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Agreement } from '@vouchsafe/core'
import { type SimulatedGuest, type SimulatorManufacturer, startSimulatedGuest } from '@vouchsafe/simulator'
import type { Clinic } from './clinic.ts'
import type { JsonProcess } from '../json-process.ts'
import { startProgram } from './programs.ts'

/** What the operator is given: images, encrypted files, an agreement. No secret is among it. */
export interface Job {
  readonly agreement: Agreement
  readonly layout: string
  /** Runs this image of the layout instead of the agreed one. */
  readonly image?: string
  /** Encrypted files by the resource that is their key, `owner/resource/path`. */
  readonly data: Readonly<Record<string, string>>
}

/** A machine that neither clinic owns, with a software TPM in place of a real one, and the agent on it. */
export class Machine {
  readonly guest: SimulatedGuest
  readonly results: string
  readonly #directory: string
  readonly #codeCache: string

  private constructor(guest: SimulatedGuest, directory: string, codeCache: string) {
    this.guest = guest
    this.results = path.join(directory, 'results')
    this.#directory = directory
    this.#codeCache = codeCache
  }

  static async boot(directory: string, manufacturer: SimulatorManufacturer, codeCache: string): Promise<Machine> {
    mkdirSync(directory, { mode: 0o700 })
    const guest = await startSimulatedGuest({ directory: path.join(directory, 'g'), manufacturer })
    return new Machine(guest, directory, codeCache)
  }

  /** The boot that an agreement may pin: register values by number. */
  get registers(): Record<string, string[]> {
    return Object.fromEntries(Object.entries(this.guest.registers).map(([number, value]) => [number, [value]]))
  }

  /** Enrols this machine's TPM with every clinic, by the ticket that each of them gives, and starts the agent's run. */
  async start(job: Job, clinics: readonly Clinic[]): Promise<JsonProcess> {
    const agreement = this.#write('agreement.json', job.agreement.bytes)
    const config = this.#write(
      'agent.json',
      JSON.stringify({
        tpm: this.guest.tpm,
        bootLog: this.guest.bootLog,
        agreement,
        imageLayout: job.layout,
        data: job.data,
        results: this.results,
        state: path.join(this.#directory, 'state'),
        workspace: this.#directory,
        overrides: job.image === undefined ? {} : { image: job.image },
        waitSeconds: 120,
      }),
    )
    const given = await Promise.all(
      clinics.map(async (c) => [c.id, (await c.owner.issueTicket('machine', 600)).ticket]),
    )
    const tickets = this.#write('tickets.json', JSON.stringify(Object.fromEntries(given)))
    const enrolling = startProgram('agent', ['enrol', config, tickets], this.#codeCache)
    for (const { id } of clinics) await enrolling.line({ event: 'enrolled', owner: id })
    await enrolling.ended()
    return startProgram('agent', ['run', config], this.#codeCache)
  }

  #write(name: string, content: string | Uint8Array): string {
    const file = path.join(this.#directory, name)
    writeFileSync(file, content, { mode: 0o600 })
    return file
  }
}
