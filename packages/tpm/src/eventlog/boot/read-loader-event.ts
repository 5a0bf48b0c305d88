import { ByteReader } from '../../codec/byte-reader.ts'
import { decodeUtf16, decodeUtf8, encodeUtf16, withoutNul } from '../efi/text.ts'
import { startsWith } from '../tcg-log.ts'
import type { TcgEvent } from '../tcg-log.ts'
import type { EventMeaning } from './event-meaning.ts'
import { measures, measuresData, measuresPart } from './measured-part.ts'
import type { ProofContext } from './measured-part.ts'

/** What GRUB writes before a text that it measures. The older form has no colon, and a byte of garbage after the text. */
const GRUB_PREFIXES = [
  { prefix: ascii('grub_cmd: '), kind: 'grub-command', excess: 0 },
  { prefix: ascii('kernel_cmdline: '), kind: 'kernel-command-line', excess: 0 },
  { prefix: ascii('module_cmdline: '), kind: 'module-command-line', excess: 0 },
  { prefix: ascii('grub_cmd '), kind: 'grub-command', excess: 1 },
  { prefix: ascii('grub_kernel_cmdline '), kind: 'kernel-command-line', excess: 1 },
] as const

/** Registers of a kernel command line by systemd: PCR 8 before version 251, PCR 12 since; both are CCMR 3. */
const STUB_COMMAND_LINE = [3, 8, 12]

/** @source Linux, drivers/firmware/efi/libstub: event tags of the EFI stub */
const TAG_LOAD_OPTIONS = 0x8f3b22ed
const TAG_INITRD = 0x8f3b22ec

/**
 * Reads an EV_IPL event of a boot loader. GRUB measures the text after its prefix, with or without its NUL; systemd
 * measures the command line in CHAR16. Everything else, such as a file, is known by its digest only.
 */
export function readLoaderEvent(event: TcgEvent, context: ProofContext): EventMeaning {
  const form = GRUB_PREFIXES.find(({ prefix }) => startsWith(event.data, prefix))
  if (form !== undefined) return readGrub(event, form, context)
  const commandLine = stubCommandLine(event, context)
  if (commandLine !== undefined) return { kind: 'kernel-command-line', text: commandLine, by: 'stub' }
  const name = printable(event.data)
  // GRUB's files are known by their register: their names can be edited to look like anything
  if (event.register === 9 || name?.includes('/'))
    return { kind: 'file', ...(name !== undefined && { untrustedName: name }) }
  if (measuresData(event, context)) return { kind: 'data', data: event.data }
  return { kind: 'digest-only', ...(name !== undefined && { untrustedText: name }) }
}

function readGrub(
  event: TcgEvent,
  { prefix, kind, excess }: (typeof GRUB_PREFIXES)[number],
  context: ProofContext,
): EventMeaning {
  const rest = event.data.subarray(prefix.length)
  const nul = rest.indexOf(0)
  const bare = nul < 0 ? rest : rest.subarray(0, nul)
  const text = decodeUtf8(bare)
  if (text === undefined || (nul >= 0 && rest.length - nul - 1 > excess))
    return { kind: 'contradiction', reason: `EV_IPL: ${kind} is not one text` }
  const ended = nul < 0 ? Uint8Array.of(...bare, 0) : rest.subarray(0, nul + 1)
  if (!measuresPart(event, bare, context) && !measuresPart(event, ended, context))
    return { kind: 'contradiction', reason: `EV_IPL: the digest is not that of the ${kind}` }
  return kind === 'kernel-command-line' ? { kind, text, by: 'grub' } : { kind, text }
}

/** Older systemd leaves half of the terminator out of the log, but not out of the measurement. */
function stubCommandLine(event: TcgEvent, context: ProofContext): string | undefined {
  if (event.register === 'none' || !STUB_COMMAND_LINE.includes(event.register)) return undefined
  const { data } = event
  const text = decodeUtf16(data.subarray(0, data.length & ~1))
  if (text === undefined) return undefined
  const bare = withoutNul(text)
  if (bare === '' || bare.includes('\0')) return undefined
  return measures(event, encodeUtf16(`${bare}\0`), context) ? bare : undefined
}

/** Reads an EV_EVENT_TAG of the Linux stub. Its digests are of the options and of the RAM disk, which the log does not hold. */
export function readTaggedEvent(event: TcgEvent, context: ProofContext): EventMeaning {
  if (measuresData(event, context)) return { kind: 'data', data: event.data }
  const text = decodeUtf8(event.data)
  // the stub of a confidential guest writes its text without a tag before it
  if (text === 'LOADED_IMAGE::LoadOptions\0') return { kind: 'load-options' }
  if (text === 'Linux initrd\0') return { kind: 'initrd' }
  const r = new ByteReader('TCG_PCClientTaggedEvent', event.data, 'little')
  const tag = r.u32('taggedEventID')
  const data = r.sized32('taggedEventData', r.remaining)
  r.end()
  if (tag === TAG_LOAD_OPTIONS) return { kind: 'load-options' }
  if (tag === TAG_INITRD) return { kind: 'initrd' }
  const description = printable(data)
  return { kind: 'digest-only', ...(description !== undefined && { untrustedText: description }) }
}

/**
 * Whether a `load-options` event is of this kernel command line: the Linux stub measures its options in CHAR16 without a
 * terminator. GRUB puts `BOOT_IMAGE=` before the text that it measures itself.
 */
export function measuresLoadOptions(event: TcgEvent, commandLine: string, context: ProofContext): boolean {
  return measures(event, encodeUtf16(commandLine), context)
}

/** Printable ASCII without the NUL at its end. */
function printable(data: Uint8Array): string | undefined {
  const text = decodeUtf8(data)
  return text !== undefined && /^[\x20-\x7e]+\0?$/.test(text) ? withoutNul(text) : undefined
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}
