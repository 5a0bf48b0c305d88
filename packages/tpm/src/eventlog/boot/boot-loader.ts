import { eventTypeName } from '../event-types.ts'
import type { TcgEvent, TcgLog } from '../tcg-log.ts'
import { logRefused } from './event-meaning.ts'
import type { EventMeaning } from './event-meaning.ts'
import { measuresLoadOptions } from './read-loader-event.ts'
import { parseKernelCommandLine } from './kernel-command-line.ts'
import type { KernelCommandLine } from './kernel-command-line.ts'
import type { ProofContext } from './measured-part.ts'
import { readRegisters, registerFor } from './register-events.ts'
import type { ReadEvent } from './register-events.ts'

export interface LoadedFile {
  readonly digest: Uint8Array
  readonly untrustedName?: string
}

export interface GrubFacts {
  /** Every command that GRUB ran, in order. */
  readonly commands: readonly string[]
  /** Command lines of multiboot modules, in order. */
  readonly moduleCommandLines: readonly string[]
  /**
   * Every file that GRUB read, in order: configuration, kernel, initial RAM disk. Together with `KernelFacts.optionsDigests`
   * and `initrdDigests` these are all of PCR 9; which of the three a digest is, only the log says.
   */
  readonly files: readonly LoadedFile[]
}

export interface KernelFacts {
  /** Absent when only the digest of the kernel's options was measured. */
  readonly commandLine?: KernelCommandLine
  /**
   * The kernel's own EFI stub measured the same options. Without this, only the boot loader says so: GRUB does not measure
   * which of its texts was the kernel's command line, so one that can run any GRUB command can make any text look like it.
   */
  readonly confirmedByStub: boolean
  /** Digests of the options with which kernels were started, as their stubs measured them. */
  readonly optionsDigests: readonly Uint8Array[]
  /** Digests of the initial RAM disks that kernels were given, as their stubs measured them. */
  readonly initrdDigests: readonly Uint8Array[]
}

/**
 * What GRUB measured: PCR 8 and 9.
 *
 * @throws {TpmError} `evidence.log` when there is nothing of GRUB, or anything in PCR 8 that is not; as `readKernel`.
 */
export function readGrub(log: TcgLog, context: ProofContext): GrubFacts {
  const commands: string[] = []
  const moduleCommandLines: string[] = []
  const files: LoadedFile[] = []
  let kernels = 0
  for (const { event, meaning } of loaderEvents(log, context)) {
    if (meaning.kind === 'grub-command') commands.push(meaning.text)
    else if (meaning.kind === 'module-command-line') moduleCommandLines.push(meaning.text)
    else if (meaning.kind === 'kernel-command-line' && meaning.by === 'grub') kernels++
    else if (meaning.kind === 'file') files.push(fileOf(event, meaning.untrustedName, context))
    else if (meaning.kind === 'kernel-command-line' && event.register === 8)
      throw logRefused(event.position, "the kernel command line in PCR 8 is not GRUB's")
  }
  if (commands.length + moduleCommandLines.length + files.length + kernels === 0)
    throw logRefused(undefined, 'no GRUB measurements found')
  return { commands, moduleCommandLines, files }
}

/**
 * What is proved of the kernel's command line: by GRUB (PCR 8), by systemd's boot loader or stub (PCR 8 or 12), and by
 * the kernel's own stub (PCR 9).
 *
 * @throws {TpmError} `evidence.log` when there is more than one command line, when the kernel was started with other
 *   options than the boot loader measured, when the text breaks its grammar (C10), and when nothing is known at all.
 */
export function readKernel(log: TcgLog, context: ProofContext): KernelFacts {
  const events = loaderEvents(log, context)
  const lines = events.filter((read) => read.meaning.kind === 'kernel-command-line')
  const options = events.filter(({ meaning }) => meaning.kind === 'load-options').map(({ event }) => event)
  const initrds = events.filter(({ meaning }) => meaning.kind === 'initrd').map(({ event }) => event)
  if (lines.length + options.length === 0) throw logRefused(undefined, 'no kernel command line was measured')
  const digests = {
    optionsDigests: options.map((event) => digestOf(event, context)),
    initrdDigests: initrds.map((event) => digestOf(event, context)),
  }
  const [line, second] = lines
  if (second !== undefined) throw logRefused(second.event.position, 'a second kernel command line')
  if (line === undefined) return { confirmedByStub: false, ...digests }
  const commandLine = parseKernelCommandLine(textOf(line.meaning))
  for (const event of options) assertSameOptions(event, line.meaning, context)
  return { commandLine, confirmedByStub: options.length > 0, ...digests }
}

const TEXTS: readonly EventMeaning['kind'][] = ['grub-command', 'module-command-line', 'kernel-command-line']
const FILES: readonly EventMeaning['kind'][] = ['file', 'load-options', 'initrd']

/**
 * The events of boot loader and kernel stub. A TPM has texts in PCR 8 and files in PCR 9, so that neither can pass for the
 * other; a guest without TPM has both in one register, where a command can hide as a file.
 */
function loaderEvents(log: TcgLog, context: ProofContext): readonly ReadEvent[] {
  const registers = new Set([8, 9, 12].map((pcr) => registerFor(log, pcr)).filter((register) => register !== undefined))
  const events = readRegisters(log, [...registers], context)
  for (const { event, meaning } of log.space === 'pcr' ? events : []) {
    const atHome = event.register === 8 ? TEXTS : event.register === 9 ? FILES : undefined
    if (atHome === undefined || atHome.includes(meaning.kind)) continue
    throw logRefused(
      event.position,
      `${eventTypeName(event.type)} (${meaning.kind}) is unexpected in PCR ${event.register}`,
    )
  }
  return events
}

function assertSameOptions(event: TcgEvent, line: EventMeaning, context: ProofContext): void {
  const text = textOf(line)
  // GRUB tells the kernel which image it booted, and measures the line without that
  if (!measuresLoadOptions(event, `BOOT_IMAGE=${text}`, context) && !measuresLoadOptions(event, text, context))
    throw logRefused(event.position, 'the kernel was started with other options than its boot loader measured')
}

function fileOf(event: TcgEvent, untrustedName: string | undefined, context: ProofContext): LoadedFile {
  return { digest: digestOf(event, context), ...(untrustedName !== undefined && { untrustedName }) }
}

function textOf(meaning: EventMeaning): string {
  return meaning.kind === 'kernel-command-line' ? meaning.text : ''
}

function digestOf(event: TcgEvent, { bank }: ProofContext): Uint8Array {
  const digest = event.digests.get(bank)
  if (digest === undefined) throw logRefused(event.position, `has no ${bank} digest`)
  return digest
}
