import { ImageError } from '../errors.ts'
import { type ImageConfig, parseImageConfig } from './config.ts'
import type { Descriptor } from './descriptor.ts'
import { assertContent, type Content, type Digest } from './digest.ts'
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from './json.ts'
import { type ImageIndex, type ImageManifest, parseManifest, parseManifestOrIndex } from './manifest.ts'
import { CONFIG_TYPES, INDEX_TYPES, type LayerForm, layerForm, MANIFEST_TYPES } from './media-types.ts'
import { type Platform, platformText, samePlatform } from './platform.ts'

export interface BlobUse {
  /** First byte wanted; 0 unless told. */
  readonly offset?: number
  /**
   * Each chunk is done with before the next is asked for, so that its memory may be used again. Collecting the chunks of
   * a large blob as garbage costs a fifth of the time that decrypting it takes.
   */
  readonly transient?: boolean
}

/**
 * Where an image's documents and blobs come from: a layout directory, a registry, a test. A source is not trusted:
 * whatever it hands out is compared with the digest that was asked for.
 */
export interface ImageSource {
  /** The exact bytes of a manifest or index, and the media type that the source gives it. At most `maxBytes`. */
  readManifest(digest: Digest, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }>
  /** A blob's bytes, not verified. Ends early or late where the source lies; `verifiedWhileRead` finds out. */
  openBlob(blob: Content, use?: BlobUse): AsyncIterable<Uint8Array>
  /** Blobs come from this machine: nothing is won by fetching several at a time. */
  readonly isLocal?: boolean
}

/** A layer as the manifest stores it, and what the configuration says it unpacks to. */
export interface ResolvedLayer {
  readonly descriptor: Descriptor
  readonly form: LayerForm
  /** Digest of the uncompressed, decrypted tar. */
  readonly diffId: Digest
}

/** A manifest that was reached and verified by digest; nothing it points at was looked at yet. */
export interface ResolvedManifest {
  /** What the caller asked for: an index or a manifest. */
  readonly requested: Digest
  readonly platform: Platform
  readonly index?: { readonly digest: Digest; readonly bytes: Uint8Array; readonly document: ImageIndex }
  readonly manifestDigest: Digest
  readonly manifestBytes: Uint8Array
  readonly manifest: ImageManifest
}

/** An image whose documents are verified down to the configuration. Layers are not: they are checked while read. */
export interface ResolvedImage extends ResolvedManifest {
  readonly configDigest: Digest
  readonly configBytes: Uint8Array
  readonly config: ImageConfig
  readonly layers: readonly ResolvedLayer[]
}

/**
 * Follows index → manifest, each by digest, size and media type (H02, H06). The bytes that were hashed are the bytes
 * that are parsed. An index in an index is refused.
 *
 * @param platform - Chooses from an index: exactly one entry must fit.
 * @throws {ImageError} `digest.mismatch`, `chain.*`, `document.*`, and whatever the source throws.
 */
export async function resolveManifest(
  source: ImageSource,
  digest: Digest,
  platform: Platform,
): Promise<ResolvedManifest> {
  const first = await fetchDocument(source, digest)
  if (first.document.kind === 'manifest')
    return { requested: digest, platform, manifestDigest: digest, manifestBytes: first.bytes, manifest: first.document }
  const chosen = choosePlatform(first.document, platform, digest)
  const { bytes, mediaType } = await source.readManifest(chosen.digest, MAX_MANIFEST_BYTES)
  assertContent(bytes, chosen, `manifest ${chosen.digest}`)
  if (mediaType !== chosen.mediaType)
    throw new ImageError(
      'chain.media-type',
      `manifest ${chosen.digest}: ${mediaType}, its index says ${chosen.mediaType}`,
    )
  const manifest = parseManifest(bytes, chosen.mediaType, `manifest ${chosen.digest}`)
  const index = { digest, bytes: first.bytes, document: first.document }
  return { requested: digest, platform, index, manifestDigest: chosen.digest, manifestBytes: bytes, manifest }
}

/**
 * Goes on to the configuration: verified by digest, made for the platform, and of one mind with the manifest about
 * the layers.
 *
 * @throws {ImageError} as `resolveManifest`.
 */
export async function resolveConfig(source: ImageSource, at: ResolvedManifest): Promise<ResolvedImage> {
  const { manifest, manifestDigest, platform } = at
  const what = `configuration ${manifest.config.digest}`
  if (!CONFIG_TYPES.has(manifest.config.mediaType))
    throw new ImageError(
      'chain.media-type',
      `manifest ${manifestDigest}: its configuration is ${manifest.config.mediaType}, not that of an image`,
    )
  const configBytes = await readVerified(source, manifest.config, MAX_CONFIG_BYTES, 'configuration')
  const config = parseImageConfig(configBytes, what)
  if (!samePlatform(config.platform, platform))
    throw new ImageError(
      'chain.platform',
      `${what}: made for ${platformText(config.platform)}, wanted ${platformText(platform)}`,
    )
  const layers = pairLayers(manifest, config, manifestDigest)
  return { ...at, configDigest: manifest.config.digest, configBytes, config, layers }
}

/** `resolveManifest`, then `resolveConfig`. */
export async function resolveImage(
  source: ImageSource,
  digest: Digest,
  options: { readonly platform: Platform },
): Promise<ResolvedImage> {
  return resolveConfig(source, await resolveManifest(source, digest, options.platform))
}

/**
 * A manifest or an index, verified by the digest it was asked for.
 *
 * @throws {ImageError} as `parseManifestOrIndex`, and `digest.mismatch`.
 */
export async function fetchDocument(source: ImageSource, digest: Digest) {
  const what = `manifest ${digest}`
  const { bytes, mediaType } = await source.readManifest(digest, MAX_MANIFEST_BYTES)
  assertContent(bytes, { digest, size: bytes.length }, what)
  return { bytes, document: parseManifestOrIndex(bytes, mediaType, what) }
}

/** @throws {ImageError} `chain.platform` unless exactly one manifest of the index fits. */
function choosePlatform(index: ImageIndex, platform: Platform, digest: Digest): Descriptor {
  const fitting = index.manifests.filter(
    (entry) =>
      entry.platform !== undefined && samePlatform(entry.platform, platform) && MANIFEST_TYPES.has(entry.mediaType),
  )
  const [chosen, second] = fitting
  if (chosen === undefined) {
    const offered = index.manifests.map((entry) =>
      INDEX_TYPES.has(entry.mediaType)
        ? 'an index'
        : entry.platform === undefined
          ? 'none'
          : platformText(entry.platform),
    )
    throw new ImageError(
      'chain.platform',
      `index ${digest}: nothing for ${platformText(platform)}, only ${offered.join(', ') || 'nothing'}`,
    )
  }
  if (second !== undefined && second.digest !== chosen.digest)
    throw new ImageError(
      'chain.platform',
      `index ${digest}: two manifests for ${platformText(platform)}: ${chosen.digest}, ${second.digest}`,
    )
  return chosen
}

function pairLayers(manifest: ImageManifest, config: ImageConfig, digest: Digest): readonly ResolvedLayer[] {
  if (manifest.layers.length !== config.diffIds.length)
    throw new ImageError(
      'chain.layers',
      `manifest ${digest}: ${manifest.layers.length} layers, its configuration lists ${config.diffIds.length}`,
    )
  return manifest.layers.map((descriptor, i) => {
    const form = layerForm(descriptor.mediaType)
    const diffId = config.diffIds[i]
    if (form === undefined || diffId === undefined)
      throw new ImageError('compression.unsupported', `manifest ${digest}: layer ${i} is ${descriptor.mediaType}`)
    return { descriptor, form, diffId }
  })
}

/**
 * A whole blob, verified before the first byte is returned.
 *
 * @throws {ImageError} `document.too-large` before anything is read, or `digest.mismatch`.
 */
export async function readVerified(
  source: ImageSource,
  blob: Content,
  maxBytes: number,
  what: string,
): Promise<Uint8Array> {
  if (blob.size > maxBytes)
    throw new ImageError('document.too-large', `${what} ${blob.digest}: ${blob.size} bytes, at most ${maxBytes}`)
  const bytes = new Uint8Array(blob.size)
  let at = 0
  for await (const chunk of source.openBlob(blob)) {
    if (at + chunk.length > bytes.length)
      throw new ImageError(
        'digest.mismatch',
        `${what} ${blob.digest}: longer than the ${blob.size} bytes its descriptor says`,
      )
    bytes.set(chunk, at)
    at += chunk.length
  }
  assertContent(bytes.subarray(0, at), blob, `${what} ${blob.digest}`)
  return bytes
}
