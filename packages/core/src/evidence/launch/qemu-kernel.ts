import { VouchsafeError } from '../../base/errors.ts'

/** Where QEMU hands a kernel to OVMF, as boot logs name it. */
export const QEMU_KERNEL = /^VenMedia\(1428f772-b64a-441e-b8c3-9ebdd7f893c7\)\/kernel$/i

const MIB = 1024 * 1024
/** Where QEMU puts real-mode code and command line for a kernel that is loaded high. */
const [REAL_MODE, COMMAND_LINE] = [0x10000, 0x20000]
/** Kept free below the top of memory. */
const ACPI_DATA = 0x28000
/** With so much memory or more, a q35 machine has 2 GiB of it below 4 GiB. */
const [SPLIT, BELOW_4G] = [0xb000_0000, 0x8000_0000]

/** A boot protocol of Linux that this was held against. */
const LEAST_PROTOCOL = 0x20c

/**
 * A kernel as QEMU hands it to the firmware: it writes into the setup header where it has put RAM disk and command line, so
 * the measurement of one kernel depends on the RAM disk's size and on the machine's memory.
 *
 * @throws {VouchsafeError} `input.malformed`: no bzImage that is loaded high
 * @source Linux: Documentation/arch/x86/boot.rst; held against boots of QEMU 7.2 with q35
 */
export function kernelFromQemu(kernel: Uint8Array, initrdBytes: number, memoryMiB: number): Uint8Array {
  const malformed = (why: string) => new VouchsafeError('input.malformed', `kernel: ${why}`)
  if (kernel.length < 0x1000) throw malformed('too short for a setup header')
  const patched = new Uint8Array(kernel)
  const header = new DataView(patched.buffer)
  if (header.getUint32(0x202, true) !== 0x53726448) throw malformed('no setup header of Linux') // HdrS
  const protocol = header.getUint16(0x206, true)
  if (protocol < LEAST_PROTOCOL || (header.getUint8(0x211) & 1) === 0)
    throw malformed(
      `boot protocol 0x${protocol.toString(16)}: wanted 0x${LEAST_PROTOCOL.toString(16)} or later, loaded high`,
    )
  const memory = memoryMiB * MIB
  const top = Math.min(header.getUint32(0x22c, true), (memory >= SPLIT ? BELOW_4G : memory) - ACPI_DATA - 1)
  const initrdAt = Math.floor((top - initrdBytes) / 4096) * 4096
  if (initrdAt < MIB) throw malformed(`${memoryMiB} MiB of memory do not hold this RAM disk`)
  header.setUint8(0x210, 0xb0) // type_of_loader: QEMU
  header.setUint8(0x211, header.getUint8(0x211) | 0x80) // the heap may be used
  header.setUint32(0x218, initrdAt, true)
  header.setUint32(0x21c, initrdBytes, true)
  header.setUint16(0x224, COMMAND_LINE - REAL_MODE - 0x200, true)
  header.setUint32(0x228, COMMAND_LINE, true)
  return patched
}
