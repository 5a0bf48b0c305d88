import { assertPlain } from '../encrypt/annotations.ts'
import { ImageError } from '../errors.ts'
import type { BlobUse, ResolvedLayer } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, verifiedWhileRead } from '../oci/digest.ts'

/** An encrypted layer whose key was unwrapped. */
export interface OpenedLayer {
  /** Digest of the plain blob, or of the archive in it, as the layer's private options state it. */
  readonly plainDigest: Digest
  /** Bytes of the plain blob. */
  readonly plainSize: number
  /** A digest over the layer's content key: equal for equal keys, and telling nothing of them. */
  readonly keyThumbprint: string
  /** Must throw at the latest at the end, when the ciphertext is not authentic. What comes before the end is staged. */
  decrypt(ciphertext: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}

/** Whoever holds the keys of encrypted layers. */
export interface LayerDecryptor {
  /**
   * Unwraps one layer's key. Asked for every encrypted layer on every pull, also when its content lies unpacked in the
   * local store: who has no key gets nothing from there either (GU-16).
   *
   * @throws {ImageError} `encryption.no-key`.
   */
  open(layer: Descriptor): Promise<OpenedLayer>
}

export interface EncryptionRules {
  readonly decryptor?: LayerDecryptor
  /** Refuses an image with a plain layer (H11). */
  readonly requireEncrypted?: boolean
}

/** A layer that may be read: plain, or with its key at hand. */
export interface ReadableLayer {
  readonly layer: ResolvedLayer
  /** What the plain, compressed blob must be. Without a digest it is its archive that was promised: the diff id. */
  readonly content: { readonly digest?: Digest; readonly size: number }
  /** Of the key it came encrypted with, if it did. */
  readonly keyThumbprint?: string
  /** Plain bytes out of stored bytes. The stored bytes are verified on the way. */
  read(stored: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}

/** How the stored bytes of a layer are read: decryption, unlike decompression, keeps none of them. */
export function storedUse({ layer }: ReadableLayer): BlobUse {
  return { transient: layer.form.encrypted }
}

/**
 * Opens every layer of an image, before a byte of any is fetched.
 *
 * @throws {ImageError} `encryption.required`, `encryption.no-key`; `encryption.downgrade` for a plain layer that carries
 *   the annotations of an encrypted one.
 */
export async function openLayers(
  layers: readonly ResolvedLayer[],
  rules: EncryptionRules,
): Promise<readonly ReadableLayer[]> {
  const opened: ReadableLayer[] = []
  for (const layer of layers) opened.push(await openLayer(layer, rules))
  return opened
}

async function openLayer(layer: ResolvedLayer, rules: EncryptionRules): Promise<ReadableLayer> {
  const { descriptor, form } = layer
  const what = `layer ${descriptor.digest}`
  if (!form.encrypted) {
    assertPlain(descriptor)
    if (rules.requireEncrypted === true)
      throw new ImageError('encryption.required', `${what} is plain, and every layer must be encrypted`)
    return { layer, content: descriptor, read: (stored) => stored }
  }
  if (rules.decryptor === undefined)
    throw new ImageError('encryption.no-key', `${what} is encrypted, and nobody was asked for its key`)
  const { plainDigest, plainSize, keyThumbprint, decrypt } = await rules.decryptor.open(descriptor)
  // buildah, podman and skopeo encrypt what they compress on the way, and promise what it was before
  const isOfArchive = form.compression !== 'none' && plainDigest === layer.diffId
  return {
    layer,
    keyThumbprint,
    content: { size: plainSize, ...(isOfArchive ? {} : { digest: plainDigest }) },
    read: (stored) => decrypt(verifiedWhileRead(stored, descriptor, what)),
  }
}
