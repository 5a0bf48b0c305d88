import { TpmError } from '../../codec/errors.ts'
import type { EfiVariable } from '../efi/variable.ts'
import type { GptTable } from '../efi/gpt.ts'

/** Confidential computing technology as Google's firmware measures it. */
export const GCE_TECHNOLOGIES = ['none', 'amd-sev', 'amd-sev-es', 'intel-tdx', 'amd-sev-snp'] as const
export type GceTechnology = (typeof GCE_TECHNOLOGIES)[number]

/** Certificate that firmware or boot loader checked an image with. */
export interface BootAuthority {
  /** The variable that it was found in. */
  readonly vendor: string
  readonly name: string
  readonly certificate: Uint8Array
  /** GUID of who enrolled it; absent where shim before version 15 measured the certificate alone. */
  readonly owner?: string
}

/**
 * What one event says, as far as its digest proves it in the attested bank. Members called `untrusted…` are what the log
 * says beside it: they were not measured, and whoever holds the log may have written them.
 */
export type EventMeaning =
  | { readonly kind: 'separator'; readonly error: boolean }
  | { readonly kind: 'firmware-version'; readonly version: string | Uint8Array }
  | { readonly kind: 'gce-technology'; readonly technology: GceTechnology }
  | { readonly kind: 'action'; readonly text: string }
  | { readonly kind: 'variable'; readonly variable: EfiVariable }
  | { readonly kind: 'authority'; readonly authority: BootAuthority }
  /** A variable that authorities are recorded with, but that holds no certificate: SbatLevel, MokListTrusted. */
  | { readonly kind: 'authority-setting'; readonly variable: EfiVariable }
  /** The contents of BootOrder or Boot####. */
  | { readonly kind: 'boot-variable'; readonly data: Uint8Array; readonly untrustedName: string }
  | { readonly kind: 'partition-table'; readonly table: GptTable }
  | { readonly kind: 'grub-command'; readonly text: string }
  | { readonly kind: 'kernel-command-line'; readonly text: string; readonly by: 'grub' | 'stub' }
  | { readonly kind: 'module-command-line'; readonly text: string }
  /** Any other data that the digest covers whole. */
  | { readonly kind: 'data'; readonly data: Uint8Array }
  // what follows is measured by digest alone
  | { readonly kind: 'image'; readonly role: ImageRole; readonly untrustedPath?: string }
  | { readonly kind: 'file'; readonly untrustedName?: string }
  /** The Linux stub: the options it was started with, and the initial RAM disk. */
  | { readonly kind: 'load-options' }
  | { readonly kind: 'initrd' }
  | { readonly kind: 'digest-only'; readonly untrustedText?: string }
  // what follows is not measured at all
  | { readonly kind: 'startup-locality'; readonly locality: number }
  | { readonly kind: 'information'; readonly untrustedText?: string }
  /** The event claims to be of a type whose data is measured, but its digest is of something else; or its data is no such data. */
  | { readonly kind: 'contradiction'; readonly reason: string }

export type ImageRole = 'application' | 'boot driver' | 'runtime driver'

export function logRefused(position: number | undefined, why: string, options?: ErrorOptions): TpmError {
  return new TpmError('evidence.log', position === undefined ? why : `event ${position}: ${why}`, options)
}
