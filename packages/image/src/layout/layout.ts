import { createReadStream } from 'node:fs'
import { lstat, open, readFile } from 'node:fs/promises'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type BlobUse, type ImageSource, readVerified } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Content, type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES, member, parseJsonObject } from '../oci/json.ts'
import { type ImageIndex, parseManifestOrIndex } from '../oci/manifest.ts'
import { MEDIA } from '../oci/media-types.ts'

export const REF_NAME = 'org.opencontainers.image.ref.name'
const READ_BYTES = 256 * 1024

/**
 * An OCI image layout directory, opened for reading. The directory is not trusted: blobs are opened without following
 * links, and everything read is compared with its digest by who asked for it.
 *
 * @source OCI image specification, image layout
 */
export class ImageLayout implements ImageSource {
  readonly directory: string
  readonly index: ImageIndex
  readonly isLocal = true

  private constructor(directory: string, index: ImageIndex) {
    this.directory = directory
    this.index = index
  }

  /** @throws {ImageError} `layout.missing`, `layout.malformed`, or what parsing the index throws. */
  static async open(directory: string): Promise<ImageLayout> {
    const marker = parseJsonObject(await readSmall(directory, 'oci-layout'), 'oci-layout', READ_BYTES)
    if (member(marker, 'imageLayoutVersion') !== '1.0.0')
      throw new ImageError('layout.malformed', `${directory}: imageLayoutVersion is not 1.0.0`)
    const bytes = await readSmall(directory, 'index.json')
    const index = parseManifestOrIndex(bytes, MEDIA.index, 'index.json')
    if (index.kind !== 'index') throw new ImageError('layout.malformed', `${directory}: index.json is not an index`)
    return new ImageLayout(directory, index)
  }

  /**
   * The descriptor that carries a reference name (a tag).
   *
   * @throws {ImageError} `layout.missing` when none does, `layout.malformed` when two different ones do.
   */
  find(name: string): Descriptor {
    const found = this.index.manifests.filter((entry) => entry.annotations.get(REF_NAME) === name)
    const [first, second] = found
    if (first === undefined) throw new ImageError('layout.missing', `${this.directory}: no image named ${name}`)
    if (second !== undefined && second.digest !== first.digest)
      throw new ImageError('layout.malformed', `${this.directory}: two images are named ${name}`)
    return first
  }

  /** The media type comes from index.json where it lists the digest, else from the document itself. */
  async readManifest(digest: Digest, maxBytes: number): Promise<{ bytes: Uint8Array; mediaType: string }> {
    const listed = this.index.manifests.find((entry) => entry.digest === digest)
    const size = listed?.size ?? (await this.#size(digest))
    const bytes = await readVerified(this, { digest, size }, maxBytes, 'manifest')
    if (listed !== undefined) return { bytes, mediaType: listed.mediaType }
    const own = member(parseJsonObject(bytes, `manifest ${digest}`, maxBytes), 'mediaType')
    return { bytes, mediaType: typeof own === 'string' ? own : MEDIA.manifest }
  }

  async *openBlob(
    blob: Content,
    { offset = 0, transient = false }: BlobUse = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#size(blob.digest)
    if (offset > blob.size) return
    // one byte more than promised, so that a longer file is noticed
    const range = { start: offset, end: blob.size }
    try {
      yield* transient
        ? readAgainInto(new Uint8Array(READ_BYTES), this.#path(blob.digest), range)
        : createReadStream(this.#path(blob.digest), { ...range, highWaterMark: READ_BYTES })
    } catch (cause) {
      throw new ImageError('layout.malformed', `${this.directory}: blob ${blob.digest} cannot be read`, { cause })
    }
  }

  async has(blob: Content): Promise<boolean> {
    try {
      return (await this.#size(blob.digest)) === blob.size
    } catch (error) {
      if (error instanceof ImageError && error.code === 'layout.missing') return false
      throw error
    }
  }

  #path(digest: Digest): string {
    return blobPath(this.directory, digest)
  }

  async #size(digest: Digest): Promise<number> {
    const stat = await lstat(this.#path(digest)).catch((cause: unknown) => {
      throw new ImageError('layout.missing', `${this.directory}: no blob ${digest}`, { cause })
    })
    if (!stat.isFile())
      throw new ImageError('layout.malformed', `${this.directory}: blob ${digest} is not a regular file`)
    return stat.size
  }
}

/** Where a blob lies in a layout. Safe, because a `Digest` holds nothing but its algorithm and hexadecimal digits. */
export function blobPath(directory: string, digest: Digest): string {
  return path.join(directory, 'blobs', digestAlgorithm(digest), digestHex(digest))
}

/** Bytes `start` to `end`, both included, or to the file's end: all in the same memory. */
async function* readAgainInto(
  memory: Uint8Array,
  file: string,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  await using handle = await open(file)
  for (let at = start; at <= end;) {
    const { bytesRead } = await handle.read(memory, 0, Math.min(memory.length, end + 1 - at), at)
    if (bytesRead === 0) return
    at += bytesRead
    yield memory.subarray(0, bytesRead)
  }
}

async function readSmall(directory: string, name: string): Promise<Uint8Array> {
  const file = path.join(directory, name)
  const stat = await lstat(file).catch((cause: unknown) => {
    throw new ImageError('layout.missing', `${directory}: no ${name}`, { cause })
  })
  if (!stat.isFile()) throw new ImageError('layout.malformed', `${file}: not a regular file`)
  if (stat.size > MAX_MANIFEST_BYTES) throw new ImageError('document.too-large', `${file}: ${stat.size} bytes`)
  return new Uint8Array(await readFile(file))
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
