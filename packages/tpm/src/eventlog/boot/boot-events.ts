import { ByteWriter } from '../../codec/byte-writer.ts'
import { encodeUtf16 } from '../efi/text.ts'
import { EV } from '../event-types.ts'
import { encodeEfiVariable } from '../efi/variable.ts'
import type { EfiVariable } from '../efi/variable.ts'

/** An event before it is measured, as `measuredEvent` takes it. */
export interface BootEvent {
  readonly register: number
  readonly type: number
  readonly data: Uint8Array
  /** What is hashed, where that is not `data`. */
  readonly measured?: Uint8Array
}

/** What firmware and boot loader measure: the writing side of `readBootReport`, for simulated boots and for tests. */
export const bootEvents = {
  firmwareVersion: (version: string): BootEvent => ({
    register: 0,
    type: EV.S_CRTM_VERSION,
    data: encodeUtf16(`${version}\0`),
  }),

  separator: (register: number): BootEvent => ({ register, type: EV.SEPARATOR, data: new Uint8Array(4) }),

  /** `Calling EFI Application from Boot Option` in register 4, `Exit Boot Services Invocation` in register 5. */
  action: (register: number, text: string): BootEvent => ({ register, type: EV.EFI_ACTION, data: utf8(text) }),

  secureBootVariable: (variable: EfiVariable): BootEvent => ({
    register: 7,
    type: EV.EFI_VARIABLE_DRIVER_CONFIG,
    data: encodeEfiVariable(variable),
  }),

  authority: (variable: EfiVariable): BootEvent => ({
    register: 7,
    type: EV.EFI_VARIABLE_AUTHORITY,
    data: encodeEfiVariable(variable),
  }),

  /** @param image - What is hashed; real firmware hashes the Authenticode form of the file. */
  application: (image: Uint8Array): BootEvent => ({
    register: 4,
    type: EV.EFI_BOOT_SERVICES_APPLICATION,
    data: new Uint8Array(32),
    measured: image,
  }),

  grubCommand: (text: string): BootEvent => grub('grub_cmd: ', text),

  kernelCommandLine: (text: string): BootEvent => grub('kernel_cmdline: ', text),

  file: (name: string, contents: Uint8Array): BootEvent => ({
    register: 9,
    type: EV.IPL,
    data: utf8(`${name}\0`),
    measured: contents,
  }),

  /** The kernel's own stub confirms what GRUB measured. */
  loadOptions: (commandLine: string): BootEvent => ({
    register: 9,
    type: EV.EVENT_TAG,
    data: tagged(0x8f3b22ed, 'LOADED_IMAGE::LoadOptions\0'),
    measured: encodeUtf16(`BOOT_IMAGE=${commandLine}`),
  }),

  initrd: (contents: Uint8Array): BootEvent => ({
    register: 9,
    type: EV.EVENT_TAG,
    data: tagged(0x8f3b22ec, 'Linux initrd\0'),
    measured: contents,
  }),
}

function grub(prefix: string, text: string): BootEvent {
  return { register: 8, type: EV.IPL, data: utf8(`${prefix}${text}\0`), measured: utf8(text) }
}

function tagged(tag: number, text: string): Uint8Array {
  return new ByteWriter('little').u32('taggedEventID', tag).sized32('taggedEventData', utf8(text)).finish()
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
