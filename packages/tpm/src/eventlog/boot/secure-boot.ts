import { TpmError } from '../../codec/errors.ts'
import { EV, eventTypeName } from '../event-types.ts'
import { VENDOR } from '../efi/guid.ts'
import { parseSignatureDatabase } from '../efi/signature-list.ts'
import type { SignatureDatabase } from '../efi/signature-list.ts'
import type { TcgLog } from '../tcg-log.ts'
import { logRefused } from './event-meaning.ts'
import type { BootAuthority, EventMeaning } from './event-meaning.ts'
import type { ProofContext } from './measured-part.ts'
import { Once, readRegisters, registerFor } from './register-events.ts'
import type { ReadEvent } from './register-events.ts'

export interface SecureBootFacts {
  readonly enabled: boolean
  readonly pk: SignatureDatabase
  readonly kek: SignatureDatabase
  readonly db: SignatureDatabase
  readonly dbx: SignatureDatabase
  /** What each image that was started had been checked with, in order. */
  readonly authorities: readonly BootAuthority[]
  /** Firmware said that devices could read memory before the operating system took over. */
  readonly dmaProtectionDisabled: boolean
  /**
   * Positions of events that share the register and are known by digest only: any of them may be a further authority
   * under another label. Empty for a TPM, whose PCR 7 holds nothing else; never empty for a guest without one.
   */
  readonly unread: readonly number[]
}

const DATABASES = {
  PK: VENDOR.global,
  KEK: VENDOR.global,
  db: VENDOR.imageSecurity,
  dbx: VENDOR.imageSecurity,
} as const

/** What shares a register with PCR 7 in a confidential guest without TPM: PCR 1 material, which says nothing here. */
const PCR1_TYPES: readonly number[] = [
  EV.POST_CODE,
  EV.PLATFORM_CONFIG_FLAGS,
  EV.TABLE_OF_DEVICES,
  EV.CPU_MICROCODE,
  EV.NONHOST_CONFIG,
  EV.EFI_VARIABLE_BOOT,
  EV.EFI_VARIABLE_BOOT2,
  EV.EFI_HANDOFF_TABLES,
  EV.EFI_HANDOFF_TABLES2,
  EV.EFI_PLATFORM_FIRMWARE_BLOB,
  EV.EFI_PLATFORM_FIRMWARE_BLOB2,
]

/**
 * What PCR 7 proves of secure boot. Everything in that register must be understood: variables before the one separator,
 * each once, under the right vendor, and authorities after it.
 *
 * @throws {TpmError} `evidence.log` naming the event; also when SecureBoot, PK, KEK, db or dbx was not measured, when it
 *   is on without keys or without having checked anything, and in debug mode.
 */
export function readSecureBoot(log: TcgLog, context: ProofContext): SecureBootFacts {
  const register = registerFor(log, 7)
  const events = register === undefined ? [] : readRegisters(log, [register], context)
  const once = new Once()
  const variables = new Map<string, Uint8Array>()
  const authorities: BootAuthority[] = []
  const unread: number[] = []
  for (const read of events) {
    const { event, meaning } = read
    if (log.space === 'ccmr' && PCR1_TYPES.includes(event.type)) {
      unread.push(event.position)
      continue
    }
    switch (meaning.kind) {
      case 'separator':
        if (meaning.error || event.data.some((byte) => byte !== 0))
          throw logRefused(event.position, 'firmware reports an error in its separator')
        once.see('separator', event)
        break
      case 'action':
        seeAction(meaning.text, read, once)
        break
      case 'variable': {
        const { vendor, name, data } = meaning.variable
        if (once.has('separator')) throw logRefused(event.position, `variable ${name} comes after the separator`)
        once.see(`variable ${name}`, event)
        if (vendorOf(name) !== undefined && vendorOf(name) !== vendor)
          throw logRefused(event.position, `variable ${name} is of vendor ${vendor}`)
        variables.set(name, data)
        break
      }
      case 'authority':
        if (!once.has('separator')) throw logRefused(event.position, 'an authority comes before the separator')
        authorities.push(meaning.authority)
        break
      case 'authority-setting':
        break
      default:
        throw unexpected(event.position, meaning, event.type)
    }
  }
  once.require('separator')
  const facts = { ...databases(variables), enabled: secureBootIsOn(variables.get('SecureBoot')), authorities }
  if (facts.enabled) assertEffective(facts)
  return { ...facts, dmaProtectionDisabled: once.has('DMA Protection Disabled'), unread }
}

function vendorOf(name: string): string | undefined {
  if (name === 'SecureBoot') return VENDOR.global
  return Object.hasOwn(DATABASES, name) ? DATABASES[name as keyof typeof DATABASES] : undefined
}

function seeAction(text: string, { event }: ReadEvent, once: Once): void {
  if (text === 'UEFI Debug Mode') throw logRefused(event.position, 'the firmware is in debug mode')
  if (text !== 'DMA Protection Disabled')
    throw logRefused(event.position, `action ${JSON.stringify(text)} is unexpected`)
  once.see(text, event)
}

function secureBootIsOn(data: Uint8Array | undefined): boolean {
  if (data === undefined) throw logRefused(undefined, 'variable SecureBoot was not measured')
  if (data.length !== 1) throw logRefused(undefined, `SecureBoot data len is ${data.length}, expected 1`)
  const [value] = data
  if (value !== 0 && value !== 1) throw logRefused(undefined, `SecureBoot is ${value}, neither on nor off`)
  return value === 1
}

function databases(variables: ReadonlyMap<string, Uint8Array>) {
  const read = (name: keyof typeof DATABASES): SignatureDatabase => {
    const data = variables.get(name)
    if (data === undefined) throw logRefused(undefined, `variable ${name} was not measured`)
    try {
      return parseSignatureDatabase(data)
    } catch (cause) {
      if (!(cause instanceof TpmError)) throw cause
      throw logRefused(undefined, `variable ${name}: ${cause.message}`, { cause })
    }
  }
  return { pk: read('PK'), kek: read('KEK'), db: read('db'), dbx: read('dbx') }
}

/** On without keys, or without having checked the image that runs, is not on. */
function assertEffective(facts: Omit<SecureBootFacts, 'dmaProtectionDisabled' | 'unread'>): void {
  if (facts.authorities.length === 0) throw logRefused(undefined, 'secure boot is on, but no image was checked')
  for (const name of ['pk', 'kek', 'db'] as const) {
    const { certificates, hashes, others } = facts[name]
    if (certificates.length + hashes.length + others.length === 0)
      throw logRefused(undefined, `secure boot is on, but ${name} is empty`)
  }
}

function unexpected(position: number, meaning: EventMeaning, type: number): TpmError {
  return logRefused(
    position,
    `unexpected event type ${eventTypeName(type)} (${meaning.kind}) in the secure boot register`,
  )
}
