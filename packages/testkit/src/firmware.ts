/** A firmware image as small as OVMF’s format allows: code of any bytes, SEV metadata, and the table of GUIDs at its end. */
export interface FirmwareSpec {
  readonly pages?: number
  /** [address, length, type] of each section. */
  readonly sections?: readonly (readonly [gpa: number, size: number, type: number])[]
  readonly resetEip?: number
  /** Null leaves the place for hashes out. */
  readonly hashesGpa?: number | null
  /** Null leaves SEV out: an image for ordinary guests. */
  readonly metadata?: null
  readonly fill?: number
}

const GUID = {
  footer: '96b582de-1fb2-45f7-baea-a366c55a082d',
  hashTable: '7255371f-3a3b-4b04-927b-1da6efa8d454',
  resetBlock: '00f771de-1a7e-4fcb-890e-68c77e2fb44e',
  sevMetadata: 'dc886566-984a-4798-a75e-5585a7bf67cc',
} as const
const METADATA_FROM_END = 2048

/** Memory, secrets, CPUID page, and a page for hashes of a kernel, as OVMF’s AmdSev build has them. */
export const TEST_SECTIONS = [
  [0x80_0000, 0x9000, 1],
  [0x80_a000, 0x3000, 1],
  [0x80_d000, 0x1000, 2],
  [0x80_e000, 0x1000, 3],
  [0x81_0000, 0x1_0000, 1],
  [0x80_f000, 0x1000, 0x10],
] as const

export function makeFirmwareImage(spec: FirmwareSpec = {}): Uint8Array {
  const image = new Uint8Array((spec.pages ?? 16) * 4096).map((_, i) => (i * 7 + (spec.fill ?? 0)) & 0xff)
  const view = new DataView(image.buffer)
  const { hashesGpa = 0x80_fc00 } = spec
  const entries: readonly (readonly [guid: string, data: Uint8Array])[] = [
    ...(hashesGpa === null ? [] : [[GUID.hashTable, u32s(hashesGpa, 0x400)] as const]),
    [GUID.resetBlock, u32s(spec.resetEip ?? 0x80_b004)],
    ...(spec.metadata === null ? [] : [[GUID.sevMetadata, u32s(METADATA_FROM_END)] as const]),
  ]
  const table = Buffer.concat(
    entries.map(([guid, data]) => Buffer.concat([data, u16(data.length + 18), encodeGuid(guid)])),
  )
  const end = image.length - 32
  image.set(Buffer.concat([table, u16(table.length + 18), encodeGuid(GUID.footer)]), end - table.length - 18)
  const sections = spec.sections ?? TEST_SECTIONS
  const at = image.length - METADATA_FROM_END
  image.set(Buffer.from('ASEV'), at)
  for (const [i, value] of [16 + sections.length * 12, 1, sections.length].entries())
    view.setUint32(at + 4 + i * 4, value, true)
  for (const [i, section] of sections.entries()) image.set(u32s(...section), at + 16 + i * 12)
  return image
}

function encodeGuid(guid: string): Uint8Array {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex')
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8),
  ])
}

function u16(n: number): Uint8Array {
  return Uint8Array.of(n, n >>> 8)
}

function u32s(...numbers: readonly number[]): Uint8Array {
  return Buffer.concat(numbers.map((n) => Uint8Array.of(n, n >>> 8, n >>> 16, n >>> 24)))
}
