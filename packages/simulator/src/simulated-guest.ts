import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { SwtpmControl, Tpm } from '@vouchsafe/tpm'
import type { SimulatedBoot } from './boot-events.ts'
import { endorse } from './endorse.ts'
import { SimulatorError } from './errors.ts'
import { SimulatorManufacturer } from './manufacturer.ts'
import { bootMeasured } from './measured-boot.ts'
import { startSwtpm } from './swtpm-process.ts'
import type { SwtpmProcess } from './swtpm-process.ts'

export interface SimulatedGuestOptions {
  /** For sockets, TPM state and boot log: absent or empty, with a short path. Removed by `stop`. */
  readonly directory: string
  /** Who certifies the endorsement keys. Default: a manufacturer of this guest's own. */
  readonly manufacturer?: SimulatorManufacturer
  /** Default: the reference boot. */
  readonly boot?: SimulatedBoot
}

/**
 * A machine with a TPM, as far as attestation can tell; all that it attests is class `simulated`. Its TPM takes one
 * connection at a time: whoever uses it closes it again.
 */
export interface SimulatedGuest {
  /** The TPM's address, as `Tpm.open` takes it. */
  readonly tpm: string
  readonly dataSocket: string
  readonly controlSocket: string
  /** The boot log's file, as `/sys/kernel/security/tpm0/binary_bios_measurements` is on a real machine. */
  readonly bootLog: string
  /** DER: the root to which the endorsement keys' certificates chain. */
  readonly manufacturerCertificate: Uint8Array
  /** SHA-256 registers 0 to 9 of the last boot, by number. */
  readonly registers: Readonly<Record<string, string>>
  /** Resets the machine, which raises the TPM's reset count, and boots it again: as before, or as told. */
  reboot(boot?: SimulatedBoot): Promise<void>
  /** Ends swtpm and removes all that this guest wrote. The second time it does nothing. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a simulated guest: a new software TPM with endorsement keys certified by a simulator's manufacturer, booted with
 * a measured boot. Everything from here on is the code that real hardware gets.
 *
 * @throws {SimulatorError}
 */
export async function startSimulatedGuest(options: SimulatedGuestOptions): Promise<SimulatedGuest> {
  const directory = path.resolve(options.directory)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if ((await readdir(directory)).length > 0)
    throw new SimulatorError('directory.in-use', `${directory} is not empty; give a directory of its own`)
  const manufacturer = options.manufacturer ?? SimulatorManufacturer.create()
  const bootLog = path.join(directory, 'binary_bios_measurements')
  let swtpm: SwtpmProcess | undefined
  try {
    swtpm = await startSwtpm(directory)
    const address = `swtpm:path=${swtpm.dataSocket}`
    {
      await using tpm = await Tpm.open(address)
      await tpm.startup()
      await endorse(tpm, manufacturer)
    }
    const guest = new RunningGuest({ directory, swtpm, manufacturer, bootLog, address })
    await guest.boot(options.boot ?? {})
    return guest
  } catch (error) {
    await swtpm?.stop()
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

interface Parts {
  readonly directory: string
  readonly swtpm: SwtpmProcess
  readonly manufacturer: SimulatorManufacturer
  readonly bootLog: string
  readonly address: string
}

class RunningGuest implements SimulatedGuest {
  readonly #parts: Parts
  #registers: Readonly<Record<string, string>> = {}
  #lastBoot: SimulatedBoot = {}
  #stopping: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get tpm(): string {
    return this.#parts.address
  }
  get dataSocket(): string {
    return this.#parts.swtpm.dataSocket
  }
  get controlSocket(): string {
    return this.#parts.swtpm.controlSocket
  }
  get bootLog(): string {
    return this.#parts.bootLog
  }
  get manufacturerCertificate(): Uint8Array {
    return this.#parts.manufacturer.certificate
  }
  get registers(): Readonly<Record<string, string>> {
    return this.#registers
  }

  async boot(boot: SimulatedBoot): Promise<void> {
    await using tpm = await Tpm.open(this.tpm)
    await tpm.startup()
    const { registers } = await bootMeasured(tpm, boot, this.bootLog)
    // firmware locks the platform hierarchy before it hands over; only a reset opens it again
    await tpm.run('HierarchyChangeAuth', { authHandle: 'platform', newAuth: new Uint8Array(randomBytes(32)) })
    this.#registers = registers
    this.#lastBoot = boot
  }

  async reboot(boot?: SimulatedBoot): Promise<void> {
    {
      await using tpm = await Tpm.open(this.tpm)
      await tpm.shutdown('clear')
    }
    const control = await SwtpmControl.open({ path: this.controlSocket })
    try {
      await control.reset()
    } finally {
      await control.close()
    }
    await this.boot(boot ?? this.#lastBoot)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    await this.#parts.swtpm.stop()
    await rm(this.#parts.directory, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
