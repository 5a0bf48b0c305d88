import { open } from 'node:fs/promises'
import { ArchiveFiles } from '../archive/archive-files.ts'
import { ImageError } from '../errors.ts'
import { type BlobUse, type ImageSource, readVerified } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Content, Digest } from '../oci/digest.ts'
import { member, parseJsonObject } from '../oci/json.ts'
import { type ImageIndex, parseManifestOrIndex } from '../oci/manifest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { archivedLayout, type LayoutFiles, layoutDirectory } from './layout-files.ts'

export { blobPath } from './layout-files.ts'
export const REF_NAME = 'org.opencontainers.image.ref.name'
const MAX_MARKER_BYTES = 256 * 1024

/**
 * An OCI image layout, a directory or a tar archive of one, opened for reading. It is not trusted: blobs are opened without
 * following links, and everything read is compared with its digest by who asked for it.
 *
 * @source OCI image specification, image layout
 */
export class ImageLayout implements ImageSource {
  /** The directory, or the archive's file. */
  readonly place: string
  readonly index: ImageIndex
  readonly isLocal = true
  readonly #files: LayoutFiles

  private constructor(files: LayoutFiles, index: ImageIndex) {
    this.place = files.place
    this.index = index
    this.#files = files
  }

  /** @throws {ImageError} `layout.missing`, `layout.malformed`, or what parsing the index throws. */
  static async open(directory: string): Promise<ImageLayout> {
    return ImageLayout.#of(layoutDirectory(directory))
  }

  /**
   * A layout in one file, as `oci-archive:` names it. It is read where it is, and not unpacked.
   *
   * @throws {ImageError} as `open`, and `archive.malformed`, `tar.*`.
   */
  static async openArchive(file: string): Promise<ImageLayout> {
    return ImageLayout.#of(archivedLayout(await ArchiveFiles.open(file)))
  }

  static async #of(files: LayoutFiles): Promise<ImageLayout> {
    const marker = parseJsonObject(await files.readSmall('oci-layout'), 'oci-layout', MAX_MARKER_BYTES)
    if (member(marker, 'imageLayoutVersion') !== '1.0.0')
      throw new ImageError('layout.malformed', `${files.place}: imageLayoutVersion is not 1.0.0`)
    const index = parseManifestOrIndex(await files.readSmall('index.json'), MEDIA.index, 'index.json')
    if (index.kind !== 'index') throw new ImageError('layout.malformed', `${files.place}: index.json is not an index`)
    return new ImageLayout(files, index)
  }

  /**
   * The descriptor that carries a reference name (a tag).
   *
   * @throws {ImageError} `layout.missing` when none does, `layout.malformed` when two different ones do.
   */
  find(name: string): Descriptor {
    const found = this.index.manifests.filter((entry) => entry.annotations.get(REF_NAME) === name)
    const [first, second] = found
    if (first === undefined)
      throw new ImageError('layout.missing', `${this.place}: no image named ${name}; ${this.#named()}`)
    if (second !== undefined && second.digest !== first.digest)
      throw new ImageError('layout.malformed', `${this.place}: two images are named ${name}`)
    return first
  }

  /** The media type comes from index.json where it lists the digest, else from the document itself. */
  async readManifest(digest: Digest, maxBytes: number): Promise<{ bytes: Uint8Array; mediaType: string }> {
    const listed = this.index.manifests.find((entry) => entry.digest === digest)
    const size = listed?.size ?? (await this.#files.sizeOf(digest))
    const bytes = await readVerified(this, { digest, size }, maxBytes, 'manifest')
    if (listed !== undefined) return { bytes, mediaType: listed.mediaType }
    const own = member(parseJsonObject(bytes, `manifest ${digest}`, maxBytes), 'mediaType')
    return { bytes, mediaType: typeof own === 'string' ? own : MEDIA.manifest }
  }

  async *openBlob(
    blob: Content,
    { offset = 0, transient = false }: BlobUse = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#files.sizeOf(blob.digest)
    if (offset > blob.size) return
    // one byte more than promised, so that a longer file is noticed
    const range = { start: offset, end: blob.size }
    try {
      yield* this.#files.read(blob.digest, range, transient)
    } catch (cause) {
      throw new ImageError('layout.malformed', `${this.place}: blob ${blob.digest} cannot be read`, { cause })
    }
  }

  async has(blob: Content): Promise<boolean> {
    try {
      return (await this.#files.sizeOf(blob.digest)) === blob.size
    } catch (error) {
      if (error instanceof ImageError && error.code === 'layout.missing') return false
      throw error
    }
  }

  #named(): string {
    const names = this.index.manifests.flatMap(({ annotations }) => annotations.get(REF_NAME) ?? [])
    if (names.length === 0) return 'no image there has a name'
    return `there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`
  }
}

/** Makes a rename durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
