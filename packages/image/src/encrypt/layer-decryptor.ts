import { createHash } from 'node:crypto'
import { ImageError } from '../errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { LayerDecryptor, OpenedLayer } from '../unpack/open-layer.ts'
import { type EncryptedLayer, readEncryptedLayer } from './annotations.ts'
import { decryptLayer } from './layer-cipher.ts'
import { parsePrivateOptions, type PrivateOptions, type PublicOptions } from './options.ts'
import type { KeyHolder } from './recipients.ts'

/** Opens encrypted layers with the keys of several holders: those of this process first, then those that others hold. */
export function layerDecryptor(holders: readonly KeyHolder[]): LayerDecryptor {
  return {
    async open(layer): Promise<OpenedLayer> {
      return openedLayer(layer, await unwrapLayer(layer, holders))
    },
  }
}

/** All that decrypting a layer takes. */
export interface LayerSecrets {
  readonly privateOptions: PrivateOptions
  readonly publicOptions: PublicOptions
}

/** A layer by secrets that are at hand. What it decrypts to is authenticated at its end only: see `decryptLayer`. */
export function openedLayer(layer: Descriptor, secrets: LayerSecrets): OpenedLayer {
  const { symmetricKey, digest } = secrets.privateOptions
  const thumbprint = createHash('sha256').update('vouchsafe/image/layer-key/v1\0').update(symmetricKey.expose())
  return {
    plainDigest: digest,
    plainSize: layer.size,
    keyThumbprint: thumbprint.digest('hex'),
    decrypt: (ciphertext) => decryptLayer(ciphertext, secrets, layer),
  }
}

/**
 * Unwraps a layer's private options. A packet that cannot be read does not stand in the way of another that can.
 *
 * @throws {ImageError} `encryption.no-key` when no holder is of a scheme that the layer has recipients of,
 *   `encryption.wrong-key` when there is one and none of its keys opens the layer, and the first error of a holder
 *   when none opens it.
 */
export async function unwrapLayer(
  layer: Descriptor,
  holders: readonly KeyHolder[],
): Promise<EncryptedLayer & { readonly privateOptions: PrivateOptions }> {
  const encrypted = readEncryptedLayer(layer)
  const { packets } = encrypted
  const able = holders
    .filter(({ scheme }) => packets.has(scheme))
    .toSorted((a, b) => Number(a.isRemote ?? false) - Number(b.isRemote ?? false))
  const what = `layer ${layer.digest}`
  let firstError: unknown
  for (const holder of able)
    for (const packet of packets.get(holder.scheme) ?? []) {
      try {
        const opened = await holder.unwrap(packet)
        // what another key made of a packet without a tag is noise: its form tells
        if (opened !== undefined)
          return { ...encrypted, privateOptions: parsePrivateOptions(opened, 'private options') }
      } catch (error) {
        firstError ??= error
      }
    }
  if (firstError instanceof ImageError)
    throw new ImageError(firstError.code, `${what}: ${firstError.message}`, { cause: firstError })
  if (firstError !== undefined) throw firstError
  const schemes = [...packets.keys()].join(', ')
  if (able.length === 0)
    throw new ImageError('encryption.no-key', `${what}: has recipients by ${schemes}, and ${givenText(holders)}`)
  throw new ImageError('encryption.wrong-key', `${what}: has recipients by ${schemes}, and no key given opens it`)
}

function givenText(holders: readonly KeyHolder[]): string {
  const schemes = new Set(holders.map(({ scheme }) => scheme))
  return schemes.size === 0 ? 'no key was given' : `the keys that were given are for ${[...schemes].join(', ')}`
}
