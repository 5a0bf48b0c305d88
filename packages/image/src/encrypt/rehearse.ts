import { readContents } from '../diff/read-contents.ts'
import { ImageError } from '../errors.ts'
import { fetchDocument, type ImageSource, readVerified, resolveImage } from '../oci/chain.ts'
import { parseImageConfig } from '../oci/config.ts'
import type { Digest } from '../oci/digest.ts'
import { MAX_CONFIG_BYTES } from '../oci/json.ts'
import type { ImageIndex, ImageManifest } from '../oci/manifest.ts'
import { type Platform, platformText } from '../oci/platform.ts'
import type { LayerDecryptor } from '../unpack/open-layer.ts'

export interface Rehearsal {
  readonly platform: Platform
  readonly manifestDigest: Digest
  readonly layers: number
  readonly encryptedLayers: number
  /** In the image as a guest would see it. */
  readonly files: number
}

/**
 * Opens an image as a guest will: keys out of the annotations, HMAC, digests, decompression, archive, file names, layer
 * by layer; only that nothing is written. For each platform that the image has.
 *
 * @throws {ImageError} what a guest would be refused with; `encryption.required` when no layer is encrypted at all.
 */
export async function rehearseDecryption(
  source: ImageSource,
  digest: Digest,
  decryptor: LayerDecryptor,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly Rehearsal[]> {
  const rehearsals: Rehearsal[] = []
  for (const { from, platform } of await imagesOf(source, digest)) {
    const image = await resolveImage(source, from, { platform })
    const encryptedLayers = image.layers.filter(({ form }) => form.encrypted).length
    if (encryptedLayers === 0)
      throw new ImageError('encryption.required', `${digest} for ${platformText(platform)}: no layer is encrypted`)
    const { files } = await readContents(source, image, { decryptor, ...options })
    const { manifestDigest, layers } = image
    rehearsals.push({ platform, manifestDigest, layers: layers.length, encryptedLayers, files: files.size })
  }
  return rehearsals
}

interface Found {
  readonly from: Digest
  readonly platform: Platform
}

/** Every image that the digest stands for. An entry of an index that names no platform is asked itself. */
async function imagesOf(source: ImageSource, digest: Digest): Promise<readonly Found[]> {
  const { document } = await fetchDocument(source, digest)
  if (document.kind === 'manifest') return [await itself(source, digest, document)]
  const found = document.manifests.map(async (entry) =>
    entry.platform === undefined
      ? await itself(source, entry.digest, (await fetchDocument(source, entry.digest)).document)
      : { from: digest, platform: entry.platform },
  )
  if (found.length === 0) throw new ImageError('encryption.required', `index ${digest}: holds no image`)
  return await Promise.all(found)
}

async function itself(source: ImageSource, digest: Digest, document: ImageManifest | ImageIndex): Promise<Found> {
  if (document.kind === 'index') throw new ImageError('chain.media-type', `manifest ${digest}: an index in an index`)
  const config = await readVerified(source, document.config, MAX_CONFIG_BYTES, 'configuration')
  return { from: digest, platform: parseImageConfig(config, `configuration ${document.config.digest}`).platform }
}
