import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SimulatorManufacturer } from '@vouchsafe/simulator'
import { Tpm } from '@vouchsafe/tpm'
import { endorse } from '../../packages/simulator/src/endorse.ts'
import { startSwtpm } from '../../packages/simulator/src/swtpm-process.ts'
import type { Kernel } from './debian.ts'

const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd'
const FIRMWARE_SETTINGS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
export const MEMORY_MIB = 1536
/** Emulation on a busy machine is slow: this is for a guest that hangs. */
const BOOT_TIMEOUT_MS = 600_000

export type GuestEvent = Readonly<Record<string, unknown>>

export interface Boot {
  readonly commandLine: string
  /** What the guest finds on its disk: file names, in `directory`. */
  readonly job: { readonly directory: string; readonly files: readonly string[] }
}

/** What a guest said until it switched itself off. */
export interface Ran {
  readonly events: readonly GuestEvent[]
  readonly seconds: number
}

/**
 * A virtual machine with firmware, a TPM that keeps its identity from boot to boot, and a kernel of Debian. QEMU emulates
 * the processor; what is measured, and how, is the work of OVMF and Linux and nothing of ours.
 */
export class VirtualMachine {
  readonly #directory: string
  readonly #kernel: Kernel
  /** File of the RAM disk that it boots. */
  readonly initramfs: string
  readonly #running = new Set<ChildProcess>()

  private constructor(directory: string, kernel: Kernel, initramfs: string) {
    this.#directory = directory
    this.#kernel = kernel
    this.initramfs = initramfs
  }

  /** Makes the machine and its TPM, and has a manufacturer certify the TPM's endorsement keys before the first boot. */
  static async make(
    directory: string,
    parts: {
      readonly kernel: Kernel
      readonly initramfs: Uint8Array
      readonly manufacturer: SimulatorManufacturer
    },
  ): Promise<VirtualMachine> {
    const state = path.join(directory, 'state')
    mkdirSync(state, { recursive: true, mode: 0o700 })
    execFileSync('swtpm_setup', ['--tpm2', '--tpmstate', state, '--pcr-banks', 'sha256'], { stdio: 'ignore' })
    const swtpm = await startSwtpm(directory)
    try {
      await using tpm = await Tpm.open(`swtpm:path=${swtpm.dataSocket}`)
      await tpm.startup()
      await endorse(tpm, parts.manufacturer)
      await tpm.shutdown('clear')
    } finally {
      await swtpm.stop()
    }
    const initramfs = path.join(directory, 'initramfs')
    writeFileSync(initramfs, parts.initramfs)
    return new VirtualMachine(directory, parts.kernel, initramfs)
  }

  /** Boots, and waits until the guest has switched itself off. */
  async boot({ commandLine, job }: Boot): Promise<Ran> {
    const disk = path.join(this.#directory, 'job.tar')
    execFileSync('tar', ['--create', '--file', disk, '--directory', job.directory, ...job.files])
    // as they left the factory: variables that firmware adds while it runs would count in register 1 of the next boot
    const settings = path.join(this.#directory, 'settings.fd')
    copyFileSync(FIRMWARE_SETTINGS, settings)
    const socket = path.join(this.#directory, 'qemu-tpm')
    rmSync(socket, { force: true })
    const state = path.join(this.#directory, 'state')
    const began = performance.now()
    const tpm = this.#spawn(
      'swtpm',
      ['socket', '--tpm2', '--terminate'],
      ['--tpmstate', `dir=${state}`],
      ['--ctrl', `type=unixio,path=${socket}`],
    )
    while (!existsSync(socket)) await sleep(20)
    const machine = this.#spawn(
      'qemu-system-x86_64',
      [
        '-accel',
        'tcg',
        '-machine',
        'q35,smm=off',
        '-cpu',
        'max',
        '-m',
        String(MEMORY_MIB),
        '-nodefaults',
        '-no-reboot',
      ],
      ['-display', 'none', '-monitor', 'none', '-serial', `file:${this.console}`, '-serial', 'stdio'],
      ['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE}`],
      ['-drive', `if=pflash,format=raw,file=${settings}`],
      ['-drive', `if=virtio,format=raw,readonly=on,file=${disk}`],
      ['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
      ['-chardev', `socket,id=tpm,path=${socket}`],
      ['-tpmdev', 'emulator,id=tpm,chardev=tpm', '-device', 'tpm-tis,tpmdev=tpm'],
      ['-kernel', this.#kernel.image, '-initrd', this.initramfs, '-append', commandLine],
    )
    try {
      const events = await this.#untilOff(machine)
      return { events, seconds: Math.round((performance.now() - began) / 1000) }
    } finally {
      tpm.kill('SIGTERM')
    }
  }

  /** What the kernel and standard error of the guest's programs wrote, of the last boot. */
  get console(): string {
    return path.join(this.#directory, 'console.log')
  }

  stop(): void {
    for (const child of this.#running) child.kill('SIGKILL')
  }

  async #untilOff(machine: ChildProcess): Promise<readonly GuestEvent[]> {
    const events: GuestEvent[] = []
    const said: string[] = []
    machine.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()))
    if (machine.stdout !== null)
      createInterface({ input: machine.stdout }).on('line', (line) => {
        // firmware writes to this port too, before the guest does
        const text = line.slice(Math.max(0, line.indexOf('{"event"')))
        if (text.startsWith('{"event"')) events.push(JSON.parse(text) as GuestEvent)
      })
    const late = setTimeout(() => machine.kill('SIGKILL'), BOOT_TIMEOUT_MS)
    const status = await new Promise<number | null>((resolve) => machine.once('close', resolve))
    clearTimeout(late)
    if (status !== 0)
      throw new Error(`qemu ended with ${status ?? 'a signal'}: ${said.join('')}; console: ${this.console}`)
    return events
  }

  /** A child that the kernel ends with this process. */
  #spawn(command: string, ...args: readonly (readonly string[])[]): ChildProcess {
    const tied = ['--pdeathsig', 'KILL', command, ...args.flat()]
    const child = spawn('setpriv', tied, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#running.add(child)
    child.once('close', () => this.#running.delete(child))
    return child
  }
}
