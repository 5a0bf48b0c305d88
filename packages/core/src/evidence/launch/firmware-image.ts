import { ByteReader } from '@vouchsafe/tpm/codec'
import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parsed } from '../parsed.ts'

/** A part of guest memory that the firmware asks the hypervisor to prepare before the launch. */
export interface FirmwareSection {
  readonly gpa: number
  readonly size: number
  readonly kind: 'memory' | 'secrets' | 'cpuid' | 'svsm-caa' | 'kernel-hashes'
}

/** What a firmware image for SEV-SNP guests says of its own launch. */
export interface FirmwareImage {
  readonly bytes: Uint8Array
  /** Where it lies: its end is at 4 GiB. */
  readonly gpa: number
  /** In the firmware's order, which is that of measuring. */
  readonly sections: readonly FirmwareSection[]
  /** Where application processors begin. */
  readonly resetEip: number
  /** Where the hashes of kernel, initial RAM disk and command line go; absent in firmware that takes none. */
  readonly hashesGpa?: number
}

const MAX_BYTES = 64 * 1024 * 1024
const FOUR_GIB = 0x1_0000_0000
const PAGE = 4096
/** The table ends 32 bytes before the image does, with its own GUID. */
const AFTER_TABLE = 32
const GUID = {
  footer: '96b582de-1fb2-45f7-baea-a366c55a082d',
  hashTable: '7255371f-3a3b-4b04-927b-1da6efa8d454',
  resetBlock: '00f771de-1a7e-4fcb-890e-68c77e2fb44e',
  sevMetadata: 'dc886566-984a-4798-a75e-5585a7bf67cc',
} as const
const KINDS: Readonly<Record<number, FirmwareSection['kind']>> = {
  1: 'memory',
  2: 'secrets',
  3: 'cpuid',
  4: 'svsm-caa',
  0x10: 'kernel-hashes',
}

/**
 * Reads an OVMF image: the table of GUIDs at its end, and the SEV metadata that the table points to.
 *
 * @param raw - As the hypervisor loads it: code, with or without variables, in whole pages. Copied.
 * @throws {VouchsafeError} `input.malformed`; `input.too-large`; `evidence.unsupported` for firmware that was not built for
 *   SEV-SNP
 * @source EDK II: OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm, OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm
 */
export function parseFirmwareImage(raw: Uint8Array): FirmwareImage {
  if (raw.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `firmware: over ${MAX_BYTES} bytes`)
  return parsed(() => {
    const bytes = new Uint8Array(raw)
    if (bytes.length === 0 || bytes.length % PAGE !== 0) throw malformed('length', 'not whole pages')
    const table = readTable(bytes)
    const metadata = table.get(GUID.sevMetadata)
    const reset = table.get(GUID.resetBlock)
    if (metadata === undefined || reset === undefined)
      throw new VouchsafeError('evidence.unsupported', 'firmware: was not built for SEV-SNP: it has no SEV metadata')
    const hashes = table.get(GUID.hashTable)
    const hashesGpa = hashes && u32(hashes, 0, 'hash table')
    return {
      bytes,
      gpa: FOUR_GIB - bytes.length,
      sections: readSections(bytes, u32(metadata, 0, 'SEV metadata')),
      resetEip: u32(reset, 0, 'reset block'),
      ...(hashesGpa !== undefined && hashesGpa !== 0 && { hashesGpa }),
    }
  })
}

/** Entries lie one before the other, each with its size and GUID behind its data; the last one names the whole table. */
function readTable(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const end = bytes.length - AFTER_TABLE
  const footer = entryBefore(bytes, end)
  if (footer.guid !== GUID.footer)
    throw new VouchsafeError(
      'evidence.unsupported',
      'firmware: there is no table of GUIDs at its end: no OVMF of today',
    )
  const start = end - footer.size
  if (start < 0) throw malformed('table', 'is longer than the image')
  const entries = new Map<string, Uint8Array>()
  for (let at = end - 18; at > start;) {
    const { guid, size } = entryBefore(bytes, at)
    if (size < 18 || at - size < start) throw malformed(guid, `size ${size} does not fit into the table`)
    if (entries.has(guid)) throw malformed(guid, 'stands there twice')
    entries.set(guid, bytes.slice(at - size, at - 18))
    at -= size
  }
  return entries
}

function entryBefore(bytes: Uint8Array, end: number): { readonly guid: string; readonly size: number } {
  if (end < 18) throw malformed('table', 'is cut short')
  const view = new DataView(bytes.buffer)
  return { size: view.getUint16(end - 18, true), guid: formatGuid(bytes.subarray(end - 16, end)) }
}

function readSections(bytes: Uint8Array, fromEnd: number): readonly FirmwareSection[] {
  const start = bytes.length - fromEnd
  if (fromEnd > bytes.length || fromEnd < 16) throw malformed('SEV metadata', 'lies outside the image')
  const r = new ByteReader('firmware: SEV metadata', bytes.subarray(start), 'little')
  if (r.u32('signature') !== 0x56455341) throw r.malformed('signature', 'not ASEV')
  const size = r.u32('size')
  const version = r.u32('version')
  if (version !== 1) throw new VouchsafeError('evidence.unsupported', `firmware: SEV metadata version ${version}`)
  const count = r.u32('sections')
  if (size !== 16 + count * 12) throw r.malformed('size', `${size}, wanted ${16 + count * 12}`)
  return Array.from({ length: count }, () => {
    const [gpa, length, type] = [r.u32('gpa'), r.u32('length'), r.u32('type')]
    const kind = KINDS[type]
    if (kind === undefined) throw new VouchsafeError('evidence.unsupported', `firmware: SEV section of type ${type}`)
    if (gpa % PAGE !== 0 || length % PAGE !== 0) throw r.malformed('gpa', 'not whole pages')
    return { gpa, size: length, kind }
  })
}

function u32(bytes: Uint8Array, at: number, field: string): number {
  if (bytes.length < at + 4) throw malformed(field, 'is cut short')
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true)
}

function malformed(field: string, why: string): VouchsafeError {
  return new VouchsafeError('input.malformed', `firmware: ${field}: ${why}`)
}

/** UEFI writes the first three parts little-endian. */
function formatGuid(bytes: Uint8Array): string {
  const part = (from: number, to: number) => toHex(bytes.slice(from, to).reverse())
  return [part(0, 4), part(4, 6), part(6, 8), toHex(bytes.slice(8, 10)), toHex(bytes.slice(10, 16))].join('-')
}
