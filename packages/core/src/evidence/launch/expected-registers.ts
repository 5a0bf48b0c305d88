import {
  describeEvent,
  type EventMeaning,
  newTcgLog,
  proofIn,
  type ProofContext,
  readBootEvent,
  replayTcgLog,
  type TcgEvent,
  type TcgLog,
} from '@vouchsafe/tpm/eventlog'
import type { CryptoPort } from '../../base/crypto.ts'
import { utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parsed } from '../parsed.ts'
import { authenticodeDigest } from './authenticode.ts'
import { kernelFromQemu, QEMU_KERNEL } from './qemu-kernel.ts'

/** What is to be booted in place of what a log was written about. What is left out stays as the log has it. */
export interface BootParts {
  readonly kernel?: BootFile
  readonly initrd?: BootFile
  readonly commandLine?: string
  /** Of a QEMU machine that boots its kernel directly, in MiB: QEMU writes into the kernel where it put the RAM disk. */
  readonly memoryMiB?: number
}

export interface BootFile {
  /** By which a boot loader's log calls it, without folders. */
  readonly name: string
  readonly contents: Uint8Array
}

export interface ExpectedBoot {
  /** Every register that the boot extends, SHA-256 bank, by number. */
  readonly registers: ReadonlyMap<number, Uint8Array>
  /** The events whose measurement is another than in the log, and what they measure. */
  readonly computed: readonly { readonly position: number; readonly register: string; readonly what: string }[]
}

const BANK = 'sha256' as const
/** OVMF tells the kernel's stub of the RAM disk by a parameter that it adds. */
const OVMF_INITRD = ' initrd=initrd'

/**
 * What the registers will hold when this firmware boots other parts: a log of the firmware, in which the measurements of
 * kernel, RAM disk and command line are computed anew. Whatever the log holds beside them is taken over as it is, so the log
 * must be of a boot that was accepted, on a machine with the same devices and memory.
 *
 * @throws {VouchsafeError} `input.malformed` for a log that does not measure a part that is given, or not in a form that is
 *   known: nothing is guessed
 */
export function expectedRegisters(log: TcgLog, parts: BootParts, crypto: CryptoPort): ExpectedBoot {
  const context = proofIn(BANK, crypto)
  const meanings = log.events.map((event) => ({ event, meaning: parsed(() => readBootEvent(event, context)) }))
  const digests = new Map([
    ...kernelDigests(meanings, parts, crypto),
    ...initrdDigests(meanings, parts, crypto),
    ...commandLineDigests(meanings, parts, crypto, context),
  ])
  const events = log.events.map((event) => {
    const digest = digests.get(event)?.value ?? event.digests.get(BANK)
    if (digest === undefined) throw malformed(`event ${event.position}: no digest of SHA-256`)
    return { ...event, digests: new Map([[BANK, digest]]) }
  })
  const { registers } = parsed(() => replayTcgLog(newTcgLog([BANK], events), BANK, crypto))
  const computed = Array.from(digests, ([event, { what }]) => ({
    position: event.position,
    register: describeEvent(event, log.space, context).register,
    what,
  }))
  return { registers, computed }
}

interface Read {
  readonly event: TcgEvent
  readonly meaning: EventMeaning
}
type Computed = readonly (readonly [TcgEvent, { readonly value: Uint8Array; readonly what: string }])[]

function kernelDigests(read: readonly Read[], parts: BootParts, crypto: CryptoPort): Computed {
  const { kernel, initrd } = parts
  const direct = isDirect(read)
  if (direct && (kernel === undefined) !== (initrd === undefined))
    throw malformed('QEMU booted this kernel: kernel and RAM disk are measured together, so give both')
  if (kernel === undefined) return []
  const images = read.filter(
    ({ meaning: m }) => m.kind === 'image' && namesFile(m.untrustedPath, kernel.name, QEMU_KERNEL),
  )
  const files = read.filter(({ meaning: m }) => m.kind === 'file' && namesFile(m.untrustedName, kernel.name))
  if (images.length + files.length === 0) throw notMeasured('kernel', kernel.name, read)
  const started = direct ? asStarted(kernel, parts) : kernel.contents
  return [
    ...images.map(
      ({ event }) => [event, { value: authenticodeDigest(started, BANK, crypto), what: 'kernel' }] as const,
    ),
    ...files.map(({ event }) => [event, { value: crypto.digest(BANK, kernel.contents), what: 'kernel' }] as const),
  ]
}

function isDirect(read: readonly Read[]): boolean {
  return read.some(({ meaning: m }) => m.kind === 'image' && QEMU_KERNEL.test(m.untrustedPath ?? ''))
}

function asStarted(kernel: BootFile, { initrd, memoryMiB }: BootParts): Uint8Array {
  if (initrd === undefined || memoryMiB === undefined)
    throw malformed('QEMU booted this kernel: its measurement depends on RAM disk and memory, so give both')
  return kernelFromQemu(kernel.contents, initrd.contents.length, memoryMiB)
}

function initrdDigests(read: readonly Read[], { initrd }: BootParts, crypto: CryptoPort): Computed {
  if (initrd === undefined) return []
  const found = read.filter(
    ({ meaning: m }) => m.kind === 'initrd' || (m.kind === 'file' && namesFile(m.untrustedName, initrd.name)),
  )
  if (found.length === 0) throw notMeasured('initial RAM disk', initrd.name, read)
  const value = crypto.digest(BANK, initrd.contents)
  return found.map(({ event }) => [event, { value, what: 'initial RAM disk' }] as const)
}

/** The texts that boot loader and stub measure, each in the form in which the log has the old one. */
function commandLineDigests(
  read: readonly Read[],
  { commandLine }: BootParts,
  crypto: CryptoPort,
  context: ProofContext,
): Computed {
  if (commandLine === undefined) return []
  const lines = read.flatMap(({ event, meaning: m }) =>
    m.kind === 'kernel-command-line' ? [{ event, text: m.text }] : [],
  )
  const options = read.filter(({ meaning: m }) => m.kind === 'load-options')
  if (lines.length + options.length === 0) throw notMeasured('kernel command line', commandLine, read)
  if (read.some(({ meaning: m }) => m.kind === 'grub-command' && lines.some(({ text }) => m.text.includes(text))))
    throw malformed('GRUB measures the command line as part of its configuration, too: observe a boot instead')
  const sameForm = (event: TcgEvent, text: string): Uint8Array => {
    const form = FORMS.find((encode) => isDigestOf(event, encode(text), context))
    if (form === undefined)
      throw malformed(`event ${event.position}: the command line is measured in a form unknown here`)
    return crypto.digest(BANK, form(commandLine))
  }
  const [known] = lines
  const direct = isDirect(read) && read.some(({ meaning: m }) => m.kind === 'initrd')
  const optionsDigest = (event: TcgEvent): Uint8Array => {
    if (known !== undefined) return sameForm(event, known.text)
    if (!direct) throw malformed('the log holds no command line to tell the form by: observe a boot instead')
    return crypto.digest(BANK, utf16(`${commandLine}${OVMF_INITRD}\0`))
  }
  const what = 'kernel command line'
  return [
    ...lines.map(({ event, text }) => [event, { value: sameForm(event, text), what }] as const),
    ...options.map(({ event }) => [event, { value: optionsDigest(event), what }] as const),
  ]
}

/** How command lines are measured, by GRUB, by systemd, and by the kernel's stub. */
const FORMS: readonly ((text: string) => Uint8Array)[] = [
  utf8,
  (text) => utf8(`${text}\0`),
  utf16,
  (text) => utf16(`${text}\0`),
  (text) => utf16(`BOOT_IMAGE=${text}`),
]

function isDigestOf(event: TcgEvent, data: Uint8Array, { digest }: ProofContext): boolean {
  const [found, wanted] = [event.digests.get(BANK), digest(data)]
  return found !== undefined && found.every((byte, i) => byte === wanted[i])
}

function namesFile(said: string | undefined, name: string, also?: RegExp): boolean {
  if (said === undefined) return false
  return said.split(/[/\\]/).at(-1) === name || also?.test(said) === true
}

function utf16(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2)
  const data = new DataView(bytes.buffer)
  for (let i = 0; i < text.length; i++) data.setUint16(i * 2, text.charCodeAt(i), true)
  return bytes
}

function notMeasured(what: string, name: string, read: readonly Read[]): VouchsafeError {
  const names = read.flatMap(({ meaning: m }) =>
    m.kind === 'image' ? (m.untrustedPath ?? []) : m.kind === 'file' ? (m.untrustedName ?? []) : [],
  )
  const has = names.length === 0 ? 'it names no file' : `it names ${names.map((n) => JSON.stringify(n)).join(', ')}`
  return malformed(`no event measures the ${what} ${JSON.stringify(name)}: ${has}`)
}

function malformed(why: string): VouchsafeError {
  return new VouchsafeError('input.malformed', `boot log: ${why}`)
}
