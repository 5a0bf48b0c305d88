import { VouchsafeError } from '../../base/errors.ts'

/** Product lines with a root of their own. Bergamo and Siena are endorsed as Genoa. */
export const SNP_PRODUCTS = ['Milan', 'Genoa', 'Turin'] as const
export type SnpProduct = (typeof SNP_PRODUCTS)[number]

/** Security patch levels of a platform's parts. They are compared part by part, never as one number (K02). */
export interface SnpTcb {
  /** FMC; Turin only. */
  readonly fmc?: number
  /** BOOT_LOADER */
  readonly bootloader: number
  /** TEE */
  readonly tee: number
  /** SNP */
  readonly snp: number
  /** MICROCODE */
  readonly microcode: number
}

/** Where each part lies in TCB_VERSION; every other byte is reserved. */
const LAYOUT: Readonly<Record<SnpProduct, Readonly<Partial<Record<keyof SnpTcb, number>>>>> = {
  Milan: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Genoa: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
}

const RESERVED = { Milan: reservedIn('Milan'), Genoa: reservedIn('Genoa'), Turin: reservedIn('Turin') } as const

function reservedIn(product: SnpProduct): readonly number[] {
  const used = Object.values(LAYOUT[product])
  return [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => !used.includes(i))
}

/**
 * Reads a TCB_VERSION of 8 bytes. Its layout depends on the product, so the product must come from signed data.
 *
 * @throws {VouchsafeError} `input.malformed` when a reserved byte is set.
 * @source AMD SEV-SNP Firmware ABI Specification 1.58, section 2.2
 */
export function decodeTcb(field: string, bytes: Uint8Array, product: SnpProduct): SnpTcb {
  const layout = LAYOUT[product]
  for (const i of RESERVED[product])
    if (bytes[i] !== 0)
      throw new VouchsafeError('input.malformed', `SNP report: ${field}: reserved byte ${i} is set, for a ${product}`)
  const at = (part: keyof SnpTcb) => bytes[layout[part] ?? -1] ?? 0
  const parts = { bootloader: at('bootloader'), tee: at('tee'), snp: at('snp'), microcode: at('microcode') }
  return layout.fmc === undefined ? parts : { fmc: at('fmc'), ...parts }
}

const PARTS = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const

/** The parts of `tcb` that are lower than in `floor`, in words; empty when none is. */
export function partsBelow(tcb: SnpTcb, floor: SnpTcb): readonly string[] {
  const below: string[] = []
  for (const part of PARTS)
    if ((tcb[part] ?? 0) < (floor[part] ?? 0)) below.push(`${part} ${tcb[part] ?? 0} < ${floor[part] ?? 0}`)
  return below
}

export function sameTcb(a: SnpTcb, b: SnpTcb): boolean {
  return PARTS.every((part) => a[part] === b[part])
}

export function formatTcb(tcb: SnpTcb): string {
  return PARTS.filter((part) => tcb[part] !== undefined)
    .map((part) => `${part} ${tcb[part]}`)
    .join(', ')
}

/**
 * The product that a CPUID family and model belong to.
 *
 * @throws {VouchsafeError} `evidence.unsupported`
 * @source AMD SEV-SNP Firmware ABI Specification 1.58, table 23, CPUID_FAM_ID and CPUID_MOD_ID
 */
export function productOfCpu(family: number, model: number): SnpProduct {
  if (family === 0x19 && model <= 0x0f) return 'Milan'
  if (family === 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf))) return 'Genoa'
  if (family === 0x1a && model <= 0x11) return 'Turin'
  const cpu = `family 0x${family.toString(16)} model 0x${model.toString(16)}`
  throw new VouchsafeError('evidence.unsupported', `SNP report: no product line known for CPU ${cpu}`)
}
