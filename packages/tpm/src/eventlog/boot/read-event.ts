import { ByteReader } from '../../codec/byte-reader.ts'
import { TpmError } from '../../codec/errors.ts'
import { EV, eventTypeName } from '../event-types.ts'
import { parseGptTable } from '../efi/gpt.ts'
import { hasImageLoadPath, parseImageLoadPath } from '../efi/image-load.ts'
import { decodeUtf16, decodeUtf8, withoutNul } from '../efi/text.ts'
import { parseEfiVariable } from '../efi/variable.ts'
import type { EfiVariable } from '../efi/variable.ts'
import { STARTUP_LOCALITY, startsWith } from '../tcg-log.ts'
import type { TcgEvent } from '../tcg-log.ts'
import { readAuthority } from './authority.ts'
import { GCE_TECHNOLOGIES } from './event-meaning.ts'
import type { EventMeaning, ImageRole } from './event-meaning.ts'
import { hasDigest, measuresData, measuresPart } from './measured-part.ts'
import type { ProofContext } from './measured-part.ts'
import { readLoaderEvent, readTaggedEvent } from './read-loader-event.ts'

const LAST_FIRMWARE_PCR = 7
const GCE_NON_HOST_INFO = Uint8Array.from('GCE NonHostInfo\0', (c) => c.charCodeAt(0))

/**
 * Reads what one event of a replayed log means, trusting its digest and nothing else (C01, C02). The type, which is not
 * measured, only says what the digest should be of; where the digest then is not that, the result is a contradiction.
 *
 * Never throws: an event that cannot be read is a contradiction with a reason.
 */
export function readBootEvent(event: TcgEvent, context: ProofContext): EventMeaning {
  const before = context.known.meanings.get(event)
  if (before !== undefined) return before
  const meaning = readOrContradict(event, context)
  context.known.meanings.set(event, meaning)
  return meaning
}

function readOrContradict(event: TcgEvent, context: ProofContext): EventMeaning {
  try {
    return readByType(event, context)
  } catch (error) {
    if (error instanceof TpmError) return { kind: 'contradiction', reason: error.message }
    throw error
  }
}

function readByType(event: TcgEvent, context: ProofContext): EventMeaning {
  if (event.type === EV.NO_ACTION) return readNoAction(event)
  const separator = readSeparator(event, context)
  if (separator !== undefined) return separator
  switch (event.type) {
    case EV.S_CRTM_VERSION:
      return proved(event, context, () => ({ kind: 'firmware-version', version: versionText(event.data) }))
    case EV.NONHOST_INFO:
      return proved(event, context, () => readNonHostInfo(event.data))
    case EV.ACTION:
    case EV.EFI_ACTION:
    case EV.OMIT_BOOT_DEVICE_EVENTS:
      return proved(event, context, () => readAction(event.data))
    case EV.EFI_VARIABLE_DRIVER_CONFIG:
      return proved(event, context, () => ({ kind: 'variable', variable: parseEfiVariable(event.data) }))
    case EV.EFI_VARIABLE_AUTHORITY:
      return readAuthority(event, context)
    case EV.EFI_VARIABLE_BOOT:
    case EV.EFI_VARIABLE_BOOT2:
      return readBootVariable(event, context)
    case EV.EFI_GPT_EVENT:
    case EV.EFI_GPT_EVENT2:
      return proved(event, context, () => ({ kind: 'partition-table', table: parseGptTable(event.data) }))
    case EV.EFI_BOOT_SERVICES_APPLICATION:
      return readImage('application', event.data)
    case EV.EFI_BOOT_SERVICES_DRIVER:
      return readImage('boot driver', event.data)
    case EV.EFI_RUNTIME_SERVICES_DRIVER:
      return readImage('runtime driver', event.data)
    case EV.IPL:
      return readLoaderEvent(event, context)
    case EV.EVENT_TAG:
      return readTaggedEvent(event, context)
    default:
      return readOther(event, context)
  }
}

/** A type whose digest must be that of its data. */
function proved(event: TcgEvent, context: ProofContext, read: () => EventMeaning): EventMeaning {
  if (measuresData(event, context)) return read()
  const reason = `${eventTypeName(event.type)}: the digest is not that of the data`
  return { kind: 'contradiction', reason }
}

/**
 * A separator is known by what was measured as well as by its type: whoever relabels one, or labels something else as
 * one, moves the border between firmware and operating system.
 */
function readSeparator(event: TcgEvent, context: ProofContext): EventMeaning | undefined {
  const normal = context.separators.normal.some((digest) => hasDigest(event, digest, context))
  if (event.type === EV.SEPARATOR) {
    const separator = normal || hasDigest(event, context.separators.error, context)
    return proved(event, context, () => {
      if (separator) return { kind: 'separator', error: !normal }
      // Windows closes registers of its own with a text
      if (event.register !== 'none' && event.register > LAST_FIRMWARE_PCR) return { kind: 'data', data: event.data }
      return { kind: 'contradiction', reason: 'EV_SEPARATOR: the data is no separator' }
    })
  }
  if (!normal) return undefined
  return { kind: 'contradiction', reason: `measured as a separator, but called ${eventTypeName(event.type)}` }
}

function readNoAction({ data }: TcgEvent): EventMeaning {
  const locality = data[STARTUP_LOCALITY.length]
  if (startsWith(data, STARTUP_LOCALITY) && locality !== undefined) return { kind: 'startup-locality', locality }
  return { kind: 'information', ...untrusted(data) }
}

function readNonHostInfo(data: Uint8Array): EventMeaning {
  if (!startsWith(data, GCE_NON_HOST_INFO)) return { kind: 'data', data }
  const technology = GCE_TECHNOLOGIES[data[GCE_NON_HOST_INFO.length] ?? -1]
  const reserved = data.subarray(GCE_NON_HOST_INFO.length + 1)
  if (technology === undefined || data.length !== 32 || reserved.some((byte) => byte !== 0))
    return { kind: 'contradiction', reason: 'GCE NonHostInfo: not 32 bytes with a known technology' }
  return { kind: 'gce-technology', technology }
}

/** Text in CHAR16 or ASCII without control characters, else the bytes: many vendors use a GUID. */
function versionText(data: Uint8Array): string | Uint8Array {
  const printable = /^[\x20-\x7e]+$/
  for (const text of [decodeUtf16(data), decodeUtf8(data)])
    if (text !== undefined && printable.test(withoutNul(text))) return withoutNul(text)
  return data
}

function readAction(data: Uint8Array): EventMeaning {
  const text = decodeUtf8(data)
  if (text === undefined) return { kind: 'data', data }
  return { kind: 'action', text: withoutNul(text) }
}

/** EDK II measures the variable's contents alone, other firmware the whole structure. */
function readBootVariable(event: TcgEvent, context: ProofContext): EventMeaning {
  const { name, data }: EfiVariable = parseEfiVariable(event.data)
  if (measuresPart(event, data, context) || measuresData(event, context))
    return { kind: 'boot-variable', data, untrustedName: name }
  return {
    kind: 'contradiction',
    reason: `${eventTypeName(event.type)}: the digest is neither of the variable nor of its contents`,
  }
}

/** A path that cannot be read is left out: it was not measured, so it cannot be wrong. */
function readImage(role: ImageRole, data: Uint8Array): EventMeaning {
  if (!hasImageLoadPath(data)) return { kind: 'image', role }
  try {
    const untrustedPath = parseImageLoadPath(data)
    return untrustedPath === '' ? { kind: 'image', role } : { kind: 'image', role, untrustedPath }
  } catch (error) {
    if (!(error instanceof TpmError)) throw error
    return { kind: 'image', role }
  }
}

function readOther(event: TcgEvent, context: ProofContext): EventMeaning {
  if (measuresData(event, context)) return { kind: 'data', data: event.data }
  if (event.type === EV.EFI_PLATFORM_FIRMWARE_BLOB && event.data.length === 16) {
    const blob = new ByteReader('UEFI_PLATFORM_FIRMWARE_BLOB', event.data, 'little')
    const base = blob.u64('base').toString(16)
    return { kind: 'digest-only', untrustedText: `firmware of ${blob.u64('length')} bytes at 0x${base}` }
  }
  return { kind: 'digest-only', ...untrusted(event.data) }
}

function untrusted(data: Uint8Array): { untrustedText?: string } {
  const text = decodeUtf8(data)
  const printable = text !== undefined && /^[\x20-\x7e]+\0?$/.test(text)
  return printable ? { untrustedText: withoutNul(text) } : {}
}
