import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import type { FirmwareImage } from './firmware-image.ts'
import { type DirectBoot, kernelHashesPage } from './kernel-hashes.ts'
import { vmsaPage } from './vmsa-page.ts'

/** CPU models by QEMU’s names, with the family, model and stepping that they show. @source QEMU: target/i386/cpu.c */
export const SNP_CPU_MODELS = {
  EPYC: [23, 1, 2],
  'EPYC-v1': [23, 1, 2],
  'EPYC-v2': [23, 1, 2],
  'EPYC-IBPB': [23, 1, 2],
  'EPYC-v3': [23, 1, 2],
  'EPYC-v4': [23, 1, 2],
  'EPYC-Rome': [23, 49, 0],
  'EPYC-Rome-v1': [23, 49, 0],
  'EPYC-Rome-v2': [23, 49, 0],
  'EPYC-Rome-v3': [23, 49, 0],
  'EPYC-Milan': [25, 1, 1],
  'EPYC-Milan-v1': [25, 1, 1],
  'EPYC-Milan-v2': [25, 1, 1],
  'EPYC-Genoa': [25, 17, 0],
  'EPYC-Genoa-v1': [25, 17, 0],
} as const satisfies Readonly<Record<string, readonly [family: number, model: number, stepping: number]>>
export type SnpCpuModel = keyof typeof SNP_CPU_MODELS

/** Everything that a guest's launch measurement under QEMU rests on. */
export interface SnpLaunch {
  readonly firmware: FirmwareImage
  /** Left out where the firmware boots from a disk: then nothing of what it boots is measured (D12). */
  readonly boot?: DirectBoot
  readonly vcpus: number
  /** What QEMU was told with `-cpu`; it stands in each processor's first state. */
  readonly cpu: SnpCpuModel
  /** SEV_FEATURES; 1, plain SNP, unless told. */
  readonly features?: bigint
}

const PAGE = 4096
const PAGE_TYPE = { normal: 1, vmsa: 2, zero: 3, secrets: 5, cpuid: 6 } as const
/** Where the firmware puts processors' first states, whatever their real address. */
const VMSA_GPA = 0xffff_ffff_f000n
const BOOT_EIP = 0xffff_fff0
const MAX_VCPUS = 4096

/**
 * The MEASUREMENT that a guest launched so will show in its reports (KB-30).
 *
 * @returns 48 bytes.
 * @throws {VouchsafeError} `input.malformed` for a number of processors that cannot be; `evidence.unsupported` where the
 *   firmware takes no hashes of a kernel, so that a direct boot would not be measured
 * @source AMD SEV-SNP Firmware ABI Specification 1.58, section 8.17.2, SNP_LAUNCH_UPDATE: PAGE_INFO
 */
export function snpLaunchDigest(launch: SnpLaunch, crypto: CryptoPort): Uint8Array {
  const { firmware, boot, vcpus, cpu, features = 1n } = launch
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_VCPUS)
    throw new VouchsafeError('input.malformed', `${vcpus} processors: wanted 1 to ${MAX_VCPUS}`)
  const digest = new LaunchDigest(crypto)
  digest.pages(PAGE_TYPE.normal, firmware.gpa, firmware.bytes)
  const hashes = boot && hashesOf(boot, firmware, crypto)
  for (const { gpa, size, kind } of firmware.sections) {
    if (kind === 'secrets') digest.empty(PAGE_TYPE.secrets, gpa, size)
    else if (kind === 'cpuid') digest.empty(PAGE_TYPE.cpuid, gpa, size)
    else if (kind === 'kernel-hashes' && hashes !== undefined) {
      if (size !== hashes.length)
        throw new VouchsafeError('evidence.unsupported', `firmware: ${size} bytes for hashes, wanted one page`)
      digest.pages(PAGE_TYPE.normal, gpa, hashes)
    } else digest.empty(PAGE_TYPE.zero, gpa, size)
  }
  const [family, model, stepping] = SNP_CPU_MODELS[cpu]
  const signature = cpuSignature(family, model, stepping)
  for (let n = 0; n < vcpus; n++) {
    const eip = n === 0 ? BOOT_EIP : firmware.resetEip
    digest.page(PAGE_TYPE.vmsa, VMSA_GPA, vmsaPage({ eip, signature, features }))
  }
  return digest.value
}

function hashesOf(boot: DirectBoot, { sections, hashesGpa }: FirmwareImage, crypto: CryptoPort): Uint8Array {
  if (hashesGpa === undefined || !sections.some(({ kind }) => kind === 'kernel-hashes'))
    throw new VouchsafeError(
      'evidence.unsupported',
      'firmware: it takes no hashes of a kernel, so what is booted would not be measured',
    )
  return kernelHashesPage(boot, hashesGpa % PAGE, crypto)
}

/** CPUID(1).EAX. */
function cpuSignature(family: number, model: number, stepping: number): number {
  const [low, high] = family > 15 ? [15, family - 15] : [family, 0]
  return (high << 20) | ((model >> 4) << 16) | (low << 8) | ((model & 15) << 4) | stepping
}

/** A chain of hashes, one link a page. */
class LaunchDigest {
  readonly #crypto: CryptoPort
  value: Uint8Array = new Uint8Array(48)

  constructor(crypto: CryptoPort) {
    this.#crypto = crypto
  }

  pages(type: number, gpa: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PAGE) this.page(type, BigInt(gpa + at), bytes.subarray(at, at + PAGE))
  }

  page(type: number, gpa: bigint, page: Uint8Array): void {
    this.#extend(type, gpa, this.#crypto.digest('sha384', page))
  }

  /** Pages whose content is not measured: the firmware of the CPU fills or clears them itself. */
  empty(type: number, gpa: number, size: number): void {
    for (let at = 0; at < size; at += PAGE) this.#extend(type, BigInt(gpa + at), new Uint8Array(48))
  }

  /** PAGE_INFO: digest so far, content, its own length, type, no IMI page, no permissions of lower levels, address. */
  #extend(type: number, gpa: bigint, content: Uint8Array): void {
    const info = new Uint8Array(0x70)
    const view = new DataView(info.buffer)
    info.set(this.value)
    info.set(content, 48)
    view.setUint16(96, info.length, true)
    info[98] = type
    view.setBigUint64(104, gpa, true)
    this.value = this.#crypto.digest('sha384', info)
  }
}
