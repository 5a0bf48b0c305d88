import { digest } from '@vouchsafe/tpm'
import { ByteWriter } from '@vouchsafe/tpm/codec'
import { EV, measuredEvent } from '@vouchsafe/tpm/eventlog'
import type { NewTcgEvent } from '@vouchsafe/tpm/eventlog'
import type { HashName } from '@vouchsafe/tpm/verify'
import {
  efiVariable,
  firmwareBlob,
  gptData,
  imageLoadEvent,
  loadOption,
  signatureData,
  signatureList,
  utf16,
} from './efi.ts'

/** What a simulated machine boots. Leaving a member out boots the reference machine. */
export interface SimulatedBoot {
  /** Default: `REFERENCE_BOOT.kernelCommandLine`. */
  readonly kernelCommandLine?: string
  /** Default: `REFERENCE_BOOT.firmwareVersion`. */
  readonly firmwareVersion?: string
  /** Default: true. */
  readonly secureBoot?: boolean
}

/** The machine that a laptop's agreement pins. */
export const REFERENCE_BOOT = {
  kernelCommandLine: 'BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro lockdown=confidentiality panic=-1 quiet',
  firmwareVersion: 'vouchsafe simulated firmware 1',
  secureBoot: true,
} as const satisfies Required<SimulatedBoot>

/** @source UEFI 2.10: Globally Defined Variables; Image Security Database; EFI_CERT_X509_GUID; EFI_CERT_SHA256_GUID */
const GUID = {
  global: '8be4df61-93ca-11d2-aa0d-00e098032b8c',
  imageSecurity: 'd719b2cb-3d3a-4596-a3bc-dad00e67656f',
  x509: 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072',
  sha256: 'c1c41626-504c-4092-aca9-41f936934328',
  /** Of our own: owner of the simulated signatures, and the simulated disk. */
  simulator: 'f8c3be4b-47f3-45f2-984f-5e1cfdb7f444',
} as const

/** PCRs that firmware closes with a separator when it hands over to the boot loader. */
const FIRMWARE_REGISTERS = [0, 1, 2, 3, 4, 5, 6, 7]
const SEPARATOR = new Uint8Array(4)
/** TAG of the Linux EFI stub for the options that the kernel was loaded with. */
const LOAD_OPTIONS_TAG = 0x8f3b22ed

interface Measurer {
  (register: number, type: number, data: Uint8Array, measured?: Uint8Array): void
}

/**
 * The events of one boot, as a UEFI firmware with Secure Boot, shim, GRUB and a Linux kernel log them: firmware in PCR 0,
 * its settings in 1, boot policy in 4, 5 and 7, the command line in 8, kernel and initrd in 9. Programs and certificates
 * are short texts that stand for themselves; the structures around them are those of a real log.
 *
 * @source TCG PC Client Platform Firmware Profile 1.06: Event Logging; GNU GRUB manual: Measuring boot components
 */
export function bootEvents(boot: SimulatedBoot, banks: readonly HashName[]): readonly NewTcgEvent[] {
  const { kernelCommandLine, firmwareVersion, secureBoot } = { ...REFERENCE_BOOT, ...boot }
  const events: NewTcgEvent[] = []
  const measure: Measurer = (register, type, data, measured = data) =>
    events.push(measuredEvent({ register, type, data, measured }, banks, { digest }))

  measureFirmware(measure, firmwareVersion)
  measureSecureBootPolicy(measure, secureBoot)
  measure(1, EV.EFI_VARIABLE_BOOT, efiVariable(GUID.global, 'BootOrder', Uint8Array.of(0, 0)))
  const entry = loadOption('simulated disk', '\\EFI\\vouchsafe\\shim.efi')
  measure(1, EV.EFI_VARIABLE_BOOT, efiVariable(GUID.global, 'Boot0000', entry))
  measure(4, EV.EFI_ACTION, ascii('Calling EFI Application from Boot Option'))
  for (const register of FIRMWARE_REGISTERS) measure(register, EV.SEPARATOR, SEPARATOR)
  measure(5, EV.EFI_GPT_EVENT, gptData(GUID.simulator))
  measureBootLoader(measure, secureBoot)
  measureKernel(measure, kernelCommandLine)
  measure(5, EV.EFI_ACTION, ascii('Exit Boot Services Invocation'))
  measure(5, EV.EFI_ACTION, ascii('Exit Boot Services Returned with Success'))
  return events
}

function measureFirmware(measure: Measurer, version: string): void {
  measure(0, EV.S_CRTM_VERSION, utf16(`${version}\0`))
  const blob = (name: string, base: bigint) =>
    measure(0, EV.EFI_PLATFORM_FIRMWARE_BLOB2, firmwareBlob(name, base, 0x200000n), ascii(`${version}: ${name}`))
  blob('PEI volume', 0xffe00000n)
  blob('DXE volume', 0xffc00000n)
}

/** The same variables whether Secure Boot is on or off; off, they are empty. */
function measureSecureBootPolicy(measure: Measurer, enabled: boolean): void {
  const variable = (guid: string, name: string, value: Uint8Array) =>
    measure(7, EV.EFI_VARIABLE_DRIVER_CONFIG, efiVariable(guid, name, value))
  const database = (type: string, content: Uint8Array) =>
    enabled ? signatureList(type, GUID.simulator, content) : new Uint8Array()
  variable(GUID.global, 'SecureBoot', Uint8Array.of(enabled ? 1 : 0))
  variable(GUID.global, 'PK', database(GUID.x509, ascii('simulated platform key')))
  variable(GUID.global, 'KEK', database(GUID.x509, ascii('simulated key exchange key')))
  variable(GUID.imageSecurity, 'db', database(GUID.x509, ascii('simulated signer')))
  variable(GUID.imageSecurity, 'dbx', database(GUID.sha256, digest('sha256', ascii('simulated revoked program'))))
}

function measureBootLoader(measure: Measurer, secureBoot: boolean): void {
  if (secureBoot) {
    const authority = signatureData(GUID.simulator, ascii('simulated signer'))
    measure(7, EV.EFI_VARIABLE_AUTHORITY, efiVariable(GUID.imageSecurity, 'db', authority))
  }
  for (const program of ['shim', 'grub']) {
    const event = imageLoadEvent(`\\EFI\\vouchsafe\\${program}.efi`)
    measure(4, EV.EFI_BOOT_SERVICES_APPLICATION, event, ascii(`simulated ${program}`))
  }
}

function measureKernel(measure: Measurer, commandLine: string): void {
  // GRUB logs a prefix and a NUL that it does not measure
  measure(8, EV.IPL, ascii(`kernel_cmdline: ${commandLine}\0`), ascii(commandLine))
  for (const file of ['/vmlinuz', '/initrd.img']) measure(9, EV.IPL, ascii(`${file}\0`), ascii(`simulated ${file}`))
  // the kernel's EFI stub measures its command line once more; the event only says which measurement this is
  const tag = new ByteWriter('little').u32('taggedEventID', LOAD_OPTIONS_TAG)
  tag.sized32('taggedEventData', ascii('LOADED_IMAGE::LoadOptions\0'))
  measure(9, EV.EVENT_TAG, tag.finish(), utf16(`${commandLine}\0`))
}

/** Bytes of a text in which every character is one byte: firmware and boot loaders write no others. */
function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}
