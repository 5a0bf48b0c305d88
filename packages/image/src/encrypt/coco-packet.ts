import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { concat, type Secret, toBase64, utf8 } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { member } from '../oci/json.ts'
import { readEncryptedLayer } from './annotations.ts'
import { malformed, readBase64, readEncryptionJson } from './read-json.ts'
import type { KeyHolder, Recipients } from './recipients.ts'

/** The name that guests of Confidential Containers look under. */
export const COCO_PROVIDER = 'attestation-agent'

/** AES-256 in GCM, whose tag tells a wrong key, or in CTR, where nothing does: see `unwrapUnderKek`. */
export type WrapType = 'A256GCM' | 'A256CTR'
const NONCE_BYTES: Readonly<Record<WrapType, number>> = { A256GCM: 12, A256CTR: 16 }
const TAG_BYTES = 16
const KEK_BYTES = 32
const VERSION = '0.1.0'

/** A wrapped key and where the key that opens it is found: versions 1 and 2 of the packet. */
export interface CocoPacket {
  /** `kbs:///repository/type/tag`, as written. */
  readonly kid: string
  readonly wrappedData: Uint8Array
  /** Another key service than the broker; `kbs` unless told. */
  readonly provider: string
  readonly iv: Uint8Array
  readonly wrapType: WrapType
}

/**
 * Reads an annotation packet. A packet of version 1 is one of version 2 without the members that came later.
 *
 * @throws {ImageError} `encryption.malformed`.
 * @source Confidential Containers guest-components, annotation packet
 */
export function parseCocoPacket(bytes: Uint8Array): CocoPacket {
  const what = 'annotation packet'
  const object = readEncryptionJson(bytes, what)
  const text = (name: string, fallback?: string) => {
    const value = member(object, name) ?? fallback
    if (typeof value !== 'string') throw malformed(`${what}.${name}`, 'not a string')
    return value
  }
  const provider = text('provider', 'kbs')
  const version = text('version', VERSION)
  if (version !== VERSION) throw malformed(`${what}.version`, `${version}, known is ${VERSION}`)
  const wrappedData = readBase64(text('wrapped_data'), `${what}.wrapped_data`)
  if (provider !== 'kbs') return { kid: text('kid'), wrappedData, provider, iv: new Uint8Array(), wrapType: 'A256GCM' }
  const wrapType = text('wrap_type')
  if (wrapType !== 'A256GCM' && wrapType !== 'A256CTR') throw malformed(`${what}.wrap_type`, JSON.stringify(wrapType))
  const iv = readBase64(text('iv'), `${what}.iv`, NONCE_BYTES[wrapType])
  if (wrapType === 'A256GCM' && wrappedData.length < TAG_BYTES) throw malformed(what, 'shorter than its tag')
  return { kid: text('kid'), wrappedData, provider, iv, wrapType }
}

/** Version 1, members in the order that upstream's tool writes them: every guest reads it. */
export function cocoPacketBytes(packet: Omit<CocoPacket, 'provider'>): Uint8Array<ArrayBuffer> {
  return utf8(
    JSON.stringify({
      kid: packet.kid,
      wrapped_data: toBase64(packet.wrappedData),
      iv: toBase64(packet.iv),
      wrap_type: packet.wrapType,
    }),
  )
}

/**
 * The resource that a key id names. The host says where upstream's guest would fetch it; ours is told by its
 * agreement, so only the path counts. Slashes and schemes that stand there too often are upstream's.
 *
 * @throws {ImageError} `encryption.malformed`.
 */
export function resourceOfKid(kid: string): string {
  let path = kid
  if (!path.startsWith('kbs://')) throw malformed('annotation packet.kid', `${JSON.stringify(kid)} is not kbs://…`)
  // each round takes something away, or ends it
  for (let before = ''; before !== path && path.startsWith('kbs://');) {
    before = path
    path = path.replace(/^kbs:\/\/[^/]*\/+/, '')
  }
  if (!/^[\w.-]+(?:\/[\w.-]+)*$/.test(path) || /(?:^|\/)\.\.?(?:\/|$)/.test(path))
    throw malformed('annotation packet.kid', `${JSON.stringify(kid)} names no resource`)
  return path
}

/**
 * The broker's resources that a guest could open a layer with, any of them; none where it has no guest among its recipients.
 *
 * @throws {ImageError} as `readEncryptedLayer` and `parseCocoPacket` do.
 */
export function guestKeyResources(layer: Descriptor, provider = COCO_PROVIDER): readonly string[] {
  const packets = readEncryptedLayer(layer).packets.get(`provider.${provider}`) ?? []
  return packets
    .map(parseCocoPacket)
    .filter((packet) => packet.provider === 'kbs')
    .map(({ kid }) => resourceOfKid(kid))
}

/** Wraps under a key-encryption key. */
export function wrapUnderKek(
  privateOptions: Uint8Array,
  kek: Secret,
  to: { readonly resource: string; readonly wrapType?: WrapType },
): Uint8Array<ArrayBuffer> {
  const { resource, wrapType = 'A256GCM' } = to
  const iv = new Uint8Array(randomBytes(NONCE_BYTES[wrapType]))
  const key = kekBytes(kek)
  const wrappedData =
    wrapType === 'A256GCM'
      ? (() => {
          const cipher = createCipheriv('aes-256-gcm', key, iv)
          return concat(cipher.update(privateOptions), cipher.final(), cipher.getAuthTag())
        })()
      : new Uint8Array(createCipheriv('aes-256-ctr', key, iv).update(privateOptions))
  return cocoPacketBytes({ kid: `kbs:///${resource}`, wrappedData, iv, wrapType })
}

/** @returns `undefined` when the key is another one. `A256CTR` has no such proof: there the options' form has to tell. */
export function unwrapUnderKek(packet: CocoPacket, kek: Secret): Uint8Array | undefined {
  const { wrapType, wrappedData, iv } = packet
  const key = kekBytes(kek)
  if (wrapType === 'A256CTR') {
    const opened = new Uint8Array(createDecipheriv('aes-256-ctr', key, iv).update(wrappedData))
    return opened[0] === 0x7b ? opened : undefined
  }
  const decipher = createDecipheriv('aes-256-gcm', key, iv)
  decipher.setAuthTag(wrappedData.subarray(-TAG_BYTES))
  try {
    return concat(decipher.update(wrappedData.subarray(0, -TAG_BYTES)), decipher.final())
  } catch {
    return undefined
  }
}

/** A guest as recipient: whoever may have the broker's resource. */
export function guestRecipient(
  kek: Secret,
  to: { readonly resource: string; readonly wrapType?: WrapType; readonly provider?: string },
): Recipients {
  return {
    scheme: `provider.${to.provider ?? COCO_PROVIDER}`,
    wrap: (privateOptions) => Promise.resolve([wrapUnderKek(privateOptions, kek, to)]),
  }
}

/**
 * Opens annotation packets as a guest does.
 *
 * @param fetchKek - The resource's value; `undefined` when there is none to be had.
 */
export function guestKeys(
  fetchKek: (resource: string) => Promise<Secret | undefined>,
  provider = COCO_PROVIDER,
): KeyHolder {
  return {
    scheme: `provider.${provider}`,
    isRemote: true,
    async unwrap(bytes) {
      const packet = parseCocoPacket(bytes)
      if (packet.provider !== 'kbs')
        throw new ImageError('encryption.no-key', `the packet's key is in the key service ${packet.provider}`)
      const kek = await fetchKek(resourceOfKid(packet.kid))
      return kek === undefined ? undefined : unwrapUnderKek(packet, kek)
    },
  }
}

function kekBytes(kek: Secret): Uint8Array {
  const bytes = kek.expose()
  if (bytes.length !== KEK_BYTES)
    throw new ImageError('encryption.recipient', `a key-encryption key of ${bytes.length} bytes, wanted ${KEK_BYTES}`)
  return bytes
}
