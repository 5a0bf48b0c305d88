import { ImageError } from '../errors.ts'
import type { LayoutWriter } from '../layout/write-layout.ts'
import type { ImageSource } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { assertContent, type Content, type Digest } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/json.ts'
import { type ImageManifest, parseManifestOrIndex } from '../oci/manifest.ts'
import type { Endpoint } from './endpoint.ts'
import { putManifest } from './referrers.ts'
import { uploadBlob, type UploadOptions } from './upload.ts'

export interface TransferOptions {
  readonly signal?: AbortSignal
  readonly mountFrom?: string
  readonly chunkBytes?: number
  readonly onProgress?: (progress: TransferProgress) => void
}

/** Of one blob: so much of it is there now. */
export interface TransferProgress extends Content {
  readonly bytes: number
}

/** One document of an image and what it points at, deepest first. */
interface Document {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
  readonly blobs: readonly Content[]
}

/**
 * Copies an image, or an index with all its images, into a repository: blobs first, so that whoever sees the manifest
 * finds everything. The bytes are not changed, so the digest is the same there; the registry checks that it is.
 */
export async function pushImage(
  source: ImageSource,
  digest: Digest,
  endpoint: Endpoint,
  options: TransferOptions & { readonly tag?: string } = {},
): Promise<Digest> {
  const documents = await collect(source, digest)
  const { tag, signal, onProgress } = options
  for (const { blobs } of documents)
    for (const blob of blobs) {
      const upload: UploadOptions = {
        ...(options.mountFrom === undefined ? {} : { mountFrom: options.mountFrom }),
        ...(options.chunkBytes === undefined ? {} : { chunkBytes: options.chunkBytes }),
        ...(onProgress === undefined
          ? {}
          : { onProgress: (bytes: number) => onProgress({ digest: blob.digest, size: blob.size, bytes }) }),
        signal,
      }
      await uploadBlob(endpoint, { content: blob, open: (offset) => source.openBlob(blob, { offset }) }, upload)
    }
  for (const { descriptor, bytes } of documents) {
    const last = descriptor.digest === digest
    const stored = await putManifest(
      endpoint,
      { bytes, mediaType: descriptor.mediaType },
      {
        ...(last && tag !== undefined ? { tag } : {}),
        ...(signal === undefined ? {} : { signal }),
      },
    )
    if (stored !== descriptor.digest)
      throw new ImageError('digest.unsupported', `manifest ${descriptor.digest}: registries name manifests by sha256`)
  }
  return digest
}

/** Copies an image, or an index with all its images, into a layout; every blob is verified before it is stored. */
export async function copyToLayout(
  source: ImageSource,
  digest: Digest,
  writer: LayoutWriter,
  options: { readonly name?: string; readonly onProgress?: TransferOptions['onProgress'] } = {},
): Promise<Descriptor> {
  const documents = await collect(source, digest)
  for (const { blobs, bytes, descriptor } of documents) {
    for (const blob of blobs) {
      await writer.copyBlob(blob, (wanted) => source.openBlob(wanted, { transient: true }))
      options.onProgress?.({ digest: blob.digest, size: blob.size, bytes: blob.size })
    }
    await writer.putBytes(bytes, descriptor)
  }
  const root = documents.at(-1)
  if (root === undefined) throw new ImageError('layout.missing', `nothing at ${digest}`)
  await writer.addToIndex(root.descriptor, options.name)
  return root.descriptor
}

/** All documents below a digest, each verified, children before parents. An index in an index is refused. */
async function collect(source: ImageSource, digest: Digest): Promise<readonly Document[]> {
  const { bytes, mediaType } = await source.readManifest(digest, MAX_MANIFEST_BYTES)
  const descriptor: Descriptor = { mediaType, digest, size: bytes.length, annotations: new Map() }
  assertContent(bytes, descriptor, `manifest ${digest}`)
  const document = parseManifestOrIndex(bytes, mediaType, `manifest ${digest}`)
  if (document.kind === 'manifest') return [{ descriptor, bytes, blobs: blobsOf(document) }]
  const children: Document[] = []
  for (const entry of document.manifests) {
    const child = await source.readManifest(entry.digest, MAX_MANIFEST_BYTES)
    assertContent(child.bytes, entry, `manifest ${entry.digest}`)
    const parsed = parseManifestOrIndex(child.bytes, entry.mediaType, `manifest ${entry.digest}`)
    if (parsed.kind === 'index')
      throw new ImageError('chain.media-type', `index ${digest}: holds the index ${entry.digest}`)
    children.push({ descriptor: entry, bytes: child.bytes, blobs: blobsOf(parsed) })
  }
  return [...children, { descriptor, bytes, blobs: [] }]
}

function blobsOf(manifest: ImageManifest): readonly Content[] {
  const seen = new Map<Digest, Content>()
  for (const blob of [manifest.config, ...manifest.layers]) seen.set(blob.digest, blob)
  return [...seen.values()]
}
