import { ImageError } from '../errors.ts'
import { type LayoutWriter, putDocument } from '../layout/write-layout.ts'
import { fetchDocument, type ImageSource } from '../oci/chain.ts'
import { type Descriptor, descriptorJson } from '../oci/descriptor.ts'
import { assertContent, type Digest } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES, parseJsonObject } from '../oci/json.ts'
import { type ImageManifest, isImage, parseManifestOrIndex } from '../oci/manifest.ts'
import { MEDIA } from '../oci/media-types.ts'

/** What becomes of one layer. `number` counts from 0, lowest first. */
type RewriteLayer = (layer: Descriptor, number: number) => Promise<Descriptor>

/** What changes on the way. */
export interface Rewriting {
  readonly layer: RewriteLayer
  /** Of an index: whether this entry of it is left out. None is unless told. */
  readonly leavesOut?: (entry: Descriptor, manifest: ImageManifest) => boolean
  /** Tag in the layout's index.json. */
  readonly name?: string | undefined
}

/**
 * Copies an image, or every image of an index, into a layout with other layers: everything else of its documents stays,
 * but Docker's media types become OCI's, which alone have names for encrypted layers. A layer that several images
 * share is rewritten once.
 *
 * @returns What the layout's index lists now.
 */
export async function rewriteImage(
  source: ImageSource,
  digest: Digest,
  writer: LayoutWriter,
  rewriting: Rewriting,
): Promise<Descriptor> {
  const done = new Map<string, Promise<Descriptor>>()
  const once: RewriteLayer = (layer, number) => {
    const key = JSON.stringify(descriptorJson(layer))
    const before = done.get(key)
    if (before !== undefined) return before
    const made = rewriting.layer(layer, number)
    done.set(key, made)
    return made
  }
  const { bytes, document } = await fetchDocument(source, digest)
  const made =
    document.kind === 'manifest'
      ? await rewriteManifest(source, { bytes, document }, writer, once)
      : await rewriteIndex(source, { bytes, entries: document.manifests }, writer, { ...rewriting, layer: once })
  await writer.addToIndex(made, rewriting.name)
  return made
}

async function rewriteIndex(
  source: ImageSource,
  index: { readonly bytes: Uint8Array; readonly entries: readonly Descriptor[] },
  writer: LayoutWriter,
  { layer, leavesOut }: Rewriting,
): Promise<Descriptor> {
  const manifests: Descriptor[] = []
  for (const entry of index.entries) {
    const { bytes } = await source.readManifest(entry.digest, MAX_MANIFEST_BYTES)
    assertContent(bytes, entry, `manifest ${entry.digest}`)
    const document = parseManifestOrIndex(bytes, entry.mediaType, `manifest ${entry.digest}`)
    if (document.kind === 'index')
      throw new ImageError('chain.media-type', `manifest ${entry.digest}: an index in an index`)
    if (leavesOut?.(entry, document) === true) continue
    const { mediaType, digest, size } = await rewriteManifest(source, { bytes, document }, writer, layer)
    manifests.push({ ...entry, mediaType, digest, size })
  }
  const kept = parseJsonObject(index.bytes, 'index', MAX_MANIFEST_BYTES)
  const { bytes: _, ...made } = await putDocument(writer, MEDIA.index, {
    ...kept,
    mediaType: MEDIA.index,
    manifests: manifests.map(descriptorJson),
  })
  return made
}

async function rewriteManifest(
  source: ImageSource,
  manifest: { readonly bytes: Uint8Array; readonly document: ImageManifest },
  writer: LayoutWriter,
  rewrite: RewriteLayer,
): Promise<Descriptor> {
  const { document } = manifest
  if (!isImage(document))
    throw new ImageError('chain.media-type', `configuration ${document.config.mediaType}: an artifact, not an image`)
  await writer.copyBlob(document.config, (blob) => source.openBlob(blob))
  const layers: Descriptor[] = []
  for (const [number, layer] of document.layers.entries()) layers.push(await rewrite(layer, number))
  const kept = parseJsonObject(manifest.bytes, 'manifest', MAX_MANIFEST_BYTES)
  const { bytes: _, ...made } = await putDocument(writer, MEDIA.manifest, {
    ...kept,
    mediaType: MEDIA.manifest,
    config: descriptorJson({ ...document.config, mediaType: MEDIA.config }),
    layers: layers.map(descriptorJson),
  })
  return made
}
