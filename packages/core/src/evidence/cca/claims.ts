import type { HashName } from '../../base/crypto.ts'
import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { readCbor } from './cose.ts'

/** What the platform's firmware says of itself. */
export interface CcaPlatformClaims {
  readonly profile: string
  /** Hash of the realm's attestation key: ties the two tokens together. */
  readonly challenge: Uint8Array
  /** Which make of hardware, 64 hexadecimal digits. */
  readonly implementationId: string
  /** Which piece of it, 66 hexadecimal digits. */
  readonly instanceId: string
  readonly config: Uint8Array
  readonly lifecycle: CcaLifecycle
  readonly hash: HashName
  readonly softwareComponents: readonly CcaSoftwareComponent[]
  readonly verificationService?: string
}

export interface CcaSoftwareComponent {
  readonly type?: string
  readonly measurement: Uint8Array
  readonly signerId: Uint8Array
  readonly version?: string
  readonly hash?: string
}

/** What the realm manager says of the realm. */
export interface CcaRealmClaims {
  /** 64 bytes, chosen by whoever asked. */
  readonly challenge: Uint8Array
  /** 64 bytes, chosen by the host when the realm was made. */
  readonly personalization: Uint8Array
  /** RIM */
  readonly initialMeasurement: Uint8Array
  /** REM[0] to REM[3] */
  readonly extensibleMeasurements: readonly Uint8Array[]
  readonly hash: HashName
  /** The realm attestation key as it stands there, and the hash by which the platform vouches for it. */
  readonly publicKey: Uint8Array
  readonly publicKeyHash: HashName
}

/** @source Arm CCA security model: lifecycle states; draft-ffm-rats-cca-token section 4.5.4 */
const LIFECYCLES = [
  'unknown',
  'assembly-and-test',
  'cca-platform-rot-provisioning',
  'secured',
  'non-cca-platform-rot-debug',
  'recoverable-cca-platform-rot-debug',
  'decommissioned',
] as const
export type CcaLifecycle = (typeof LIFECYCLES)[number]

const PROFILES = ['http://arm.com/CCA-SSD/1.0.0', 'tag:arm.com,2023:cca_platform#1.0.0']

/** @throws {VouchsafeError} `input.malformed`, `evidence.unsupported` @source draft-ffm-rats-cca-token section 4.5 */
export function readPlatformClaims(payload: Uint8Array): CcaPlatformClaims {
  const c = new Claims('CCA platform token', payload)
  const profile = c.text(265, 'profile')
  if (!PROFILES.includes(profile))
    throw new VouchsafeError('evidence.unsupported', `CCA platform token: profile ${JSON.stringify(profile)}`)
  const lifecycle = LIFECYCLES[c.number(2395, 'lifecycle') >> 12]
  if (lifecycle === undefined) throw c.malformed('lifecycle', 'not a state known here')
  const service = c.optionalText(2400, 'verification service')
  return {
    profile,
    challenge: c.bytes(10, 'challenge', [32, 48, 64]),
    implementationId: toHex(c.bytes(2396, 'implementation id', [32])),
    instanceId: toHex(c.bytes(256, 'instance id', [33])),
    config: c.bytes(2401, 'config'),
    lifecycle,
    hash: c.hash(2402, 'hash algorithm'),
    softwareComponents: c.list(2399, 'software components', 64).map((entry) => readComponent(entry)),
    ...(service !== undefined && { verificationService: service }),
  }
}

function readComponent(entry: unknown): CcaSoftwareComponent {
  const c = new Claims('CCA software component', entry)
  const type = c.optionalText(1, 'component type')
  const version = c.optionalText(4, 'version')
  const hash = c.optionalText(6, 'hash algorithm')
  return {
    ...(type !== undefined && { type }),
    measurement: c.bytes(2, 'measurement', [32, 48, 64]),
    ...(version !== undefined && { version }),
    signerId: c.bytes(5, 'signer id', [32, 48, 64]),
    ...(hash !== undefined && { hash }),
  }
}

/** @throws {VouchsafeError} `input.malformed` @source draft-ffm-rats-cca-token section 4.6 */
export function readRealmClaims(payload: Uint8Array): CcaRealmClaims {
  const c = new Claims('CCA realm token', payload)
  const extensible = c.list(44239, 'extensible measurements', 4)
  if (extensible.length !== 4 || !extensible.every((m) => m instanceof Uint8Array && [32, 48, 64].includes(m.length)))
    throw c.malformed('extensible measurements', 'not four of them')
  return {
    challenge: c.bytes(10, 'challenge', [64]),
    personalization: c.bytes(44235, 'personalization value', [64]),
    initialMeasurement: c.bytes(44238, 'initial measurement', [32, 48, 64]),
    extensibleMeasurements: extensible as readonly Uint8Array[],
    hash: c.hash(44236, 'hash algorithm'),
    publicKey: c.bytes(44237, 'public key'),
    publicKeyHash: c.hash(44240, 'public key hash algorithm'),
  }
}

const HASHES: Readonly<Record<string, HashName>> = { 'sha-256': 'sha256', 'sha-384': 'sha384', 'sha-512': 'sha512' }

/** Claims by number. Numbers that are not asked for are let be: the token is signed, and profiles grow. */
class Claims {
  readonly #what: string
  readonly #map: ReadonlyMap<unknown, unknown>

  constructor(what: string, source: unknown) {
    this.#what = what
    const map = source instanceof Uint8Array ? readCbor(what, source) : source
    if (!(map instanceof Map)) throw this.malformed('claims', 'not a map')
    this.#map = map as ReadonlyMap<unknown, unknown>
  }

  malformed(field: string, why: string): VouchsafeError {
    return new VouchsafeError('input.malformed', `${this.#what}: ${field}: ${why}`)
  }

  bytes(label: number, field: string, lengths?: readonly number[]): Uint8Array {
    const value = this.#map.get(label)
    if (!(value instanceof Uint8Array)) throw this.malformed(field, 'not a byte string')
    if (lengths !== undefined && !lengths.includes(value.length))
      throw this.malformed(field, `${value.length} bytes, wanted ${lengths.join(' or ')}`)
    return new Uint8Array(value)
  }

  text(label: number, field: string): string {
    const value = this.optionalText(label, field)
    if (value === undefined) throw this.malformed(field, 'missing')
    return value
  }

  optionalText(label: number, field: string): string | undefined {
    const value = this.#map.get(label)
    if (value !== undefined && (typeof value !== 'string' || value.length > 1024 || !value.isWellFormed()))
      throw this.malformed(field, 'not a text')
    return value
  }

  number(label: number, field: string): number {
    const value = this.#map.get(label)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff)
      throw this.malformed(field, 'not a 16-bit number')
    return value
  }

  hash(label: number, field: string): HashName {
    const hash = HASHES[this.text(label, field)]
    if (hash === undefined) throw this.malformed(field, 'not a hash that counts')
    return hash
  }

  list(label: number, field: string, max: number): readonly unknown[] {
    const value = this.#map.get(label)
    if (!Array.isArray(value) || value.length === 0 || value.length > max)
      throw this.malformed(field, `not a list of up to ${max}`)
    return value as readonly unknown[]
  }
}
