import { toBase64 } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { layerForm, ociLayerType } from '../oci/media-types.ts'
import { parsePublicOptions, type PublicOptions } from './options.ts'
import { readBase64 } from './read-json.ts'

const ENC_PREFIX = 'org.opencontainers.image.enc.'
/** Annotation of a layer: `PublicOptions` as base64 of JSON. */
export const PUBLIC_OPTIONS = `${ENC_PREFIX}pubopts`
const KEYS = `${ENC_PREFIX}keys.`
const PROVIDER = 'provider.'
/** Recipients of one scheme; each costs a private-key operation to try. */
const MAX_PACKETS = 64

/** A way to wrap a key for somebody. `provider` leaves it to a program, by that program's name. */
export type SchemeName = 'jwe' | 'pkcs7' | 'pgp' | 'pkcs11' | `provider.${string}`
const SCHEMES: ReadonlySet<string> = new Set(['jwe', 'pkcs7', 'pgp', 'pkcs11'])

/** What an encrypted layer says of itself. None of it is authenticated. */
export interface EncryptedLayer {
  readonly publicOptions: PublicOptions
  /** The wrapped private options, by scheme, in the order they stand in. */
  readonly packets: ReadonlyMap<SchemeName, readonly Uint8Array[]>
}

/**
 * Reads the annotations of an encrypted layer.
 *
 * @throws {ImageError} `encryption.downgrade` where a layer claims to be encrypted and has no options or no
 *   recipients; `encryption.malformed`, `encryption.cipher`, `encryption.public-nonce`.
 */
export function readEncryptedLayer(layer: Descriptor): EncryptedLayer {
  const what = `layer ${layer.digest}`
  const text = layer.annotations.get(PUBLIC_OPTIONS)
  if (text === undefined)
    throw new ImageError('encryption.downgrade', `${what}: claims to be encrypted, has no ${PUBLIC_OPTIONS}`)
  const packets = new Map<SchemeName, readonly Uint8Array[]>()
  for (const [name, value] of layer.annotations) {
    if (!name.startsWith(KEYS)) continue
    const scheme = asScheme(name.slice(KEYS.length))
    if (scheme !== undefined) packets.set(scheme, readPackets(value, `${what}, ${name}`))
  }
  if (packets.size === 0)
    throw new ImageError('encryption.downgrade', `${what}: claims to be encrypted, and nobody is its recipient`)
  return { publicOptions: parsePublicOptions(text, `${what}, ${PUBLIC_OPTIONS}`), packets }
}

/** @throws {ImageError} `encryption.downgrade` where a layer that claims to be plain carries what an encrypted one does. */
export function assertPlain(layer: Descriptor): void {
  for (const name of layer.annotations.keys())
    if (name.startsWith(ENC_PREFIX))
      throw new ImageError('encryption.downgrade', `layer ${layer.digest}: claims to be plain, and carries ${name}`)
}

/** Packets as annotations: base64, joined by commas. */
export function keyAnnotations(packets: ReadonlyMap<SchemeName, readonly Uint8Array[]>): ReadonlyMap<string, string> {
  return new Map([...packets].map(([scheme, list]) => [`${KEYS}${scheme}`, list.map(toBase64).join(',')]))
}

/** The annotations that have nothing to do with encryption: they outlive it. */
export function otherAnnotations(layer: Descriptor): ReadonlyMap<string, string> {
  return new Map([...layer.annotations].filter(([name]) => !name.startsWith(ENC_PREFIX)))
}

const ENCRYPTED = '+encrypted'
/** Of the same layer, encrypted. Docker has no names for that: its layers get OCI's. */
export function encryptedMediaType(plain: string): string {
  const form = layerForm(plain)
  if (form === undefined || form.encrypted)
    throw new ImageError('compression.unsupported', `${plain} is no plain layer of files: nothing else is encrypted`)
  return `${ociLayerType(plain)}${ENCRYPTED}`
}

/** Of the same layer, decrypted. */
export function plainMediaType(encrypted: string): string {
  return encrypted.endsWith(ENCRYPTED) ? encrypted.slice(0, -ENCRYPTED.length) : encrypted
}

/** A scheme that was invented after this was written opens nothing here, and does not stand in the way of the others. */
function asScheme(name: string): SchemeName | undefined {
  if (SCHEMES.has(name) || (name.startsWith(PROVIDER) && name.length > PROVIDER.length)) return name as SchemeName
  return undefined
}

function readPackets(value: string, what: string): readonly Uint8Array[] {
  const parts = value.split(',')
  if (parts.length > MAX_PACKETS)
    throw new ImageError('encryption.malformed', `${what}: ${parts.length} packets, at most ${MAX_PACKETS}`)
  return parts.map((part, i) => readBase64(part, `${what}[${i}]`))
}
