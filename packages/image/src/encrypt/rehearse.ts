import { readContents } from '../diff/read-contents.ts'
import { ImageError } from '../errors.ts'
import { type ImageSource, readVerified, resolveImage } from '../oci/chain.ts'
import { parseImageConfig } from '../oci/config.ts'
import { assertContent, type Digest } from '../oci/digest.ts'
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from '../oci/json.ts'
import { parseManifestOrIndex } from '../oci/manifest.ts'
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
  for (const platform of await platformsOf(source, digest)) {
    const image = await resolveImage(source, digest, { platform })
    const encryptedLayers = image.layers.filter(({ form }) => form.encrypted).length
    if (encryptedLayers === 0)
      throw new ImageError('encryption.required', `${digest} for ${platformText(platform)}: no layer is encrypted`)
    const { files } = await readContents(source, image, { decryptor, ...options })
    const { manifestDigest, layers } = image
    rehearsals.push({ platform, manifestDigest, layers: layers.length, encryptedLayers, files: files.size })
  }
  return rehearsals
}

/** Of an index what it lists; of a manifest what its configuration says. */
async function platformsOf(source: ImageSource, digest: Digest): Promise<readonly Platform[]> {
  const { bytes, mediaType } = await source.readManifest(digest, MAX_MANIFEST_BYTES)
  assertContent(bytes, { digest, size: bytes.length }, `manifest ${digest}`)
  const document = parseManifestOrIndex(bytes, mediaType, `manifest ${digest}`)
  if (document.kind === 'index')
    return document.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [platform]))
  const config = await readVerified(source, document.config, MAX_CONFIG_BYTES, 'configuration')
  return [parseImageConfig(config, `configuration ${document.config.digest}`).platform]
}
