import { lstat, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { ArchivedFile, ArchiveFiles } from '../archive/archive-files.ts'
import { readRange } from '../archive/read-range.ts'
import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/json.ts'

const READ_BYTES = 256 * 1024

/** The files of a layout, wherever they lie. */
export interface LayoutFiles {
  /** For messages. */
  readonly place: string
  /** @throws {ImageError} `layout.missing`, `layout.malformed`, `document.too-large`. */
  readSmall(name: 'oci-layout' | 'index.json'): Promise<Uint8Array>
  /** @throws {ImageError} `layout.missing`, `layout.malformed`. */
  sizeOf(digest: Digest): Promise<number>
  /**
   * A blob's bytes from `start` to `end`, both included, or to its own end; nothing is verified.
   *
   * @param transient - See `BlobUse`.
   */
  read(
    digest: Digest,
    range: { readonly start: number; readonly end: number },
    transient: boolean,
  ): AsyncIterable<Uint8Array>
}

/** Where a blob lies in a layout. Safe, because a `Digest` holds nothing but its algorithm and hexadecimal digits. */
export function blobPath(directory: string, digest: Digest): string {
  return path.join(directory, blobName(digest))
}

function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}

export function layoutDirectory(directory: string): LayoutFiles {
  return {
    place: directory,
    async readSmall(name) {
      const file = path.join(directory, name)
      const stat = await lstat(file).catch((cause: unknown) => {
        throw new ImageError('layout.missing', `${directory}: no ${name}`, { cause })
      })
      if (!stat.isFile()) throw new ImageError('layout.malformed', `${file}: not a regular file`)
      assertSmall(stat.size, file)
      return new Uint8Array(await readFile(file))
    },
    async sizeOf(digest) {
      const stat = await lstat(blobPath(directory, digest)).catch((cause: unknown) => {
        throw new ImageError('layout.missing', `${directory}: no blob ${digest}`, { cause })
      })
      if (!stat.isFile()) throw new ImageError('layout.malformed', `${directory}: blob ${digest} is not a regular file`)
      return stat.size
    },
    read: (digest, range, transient) => readRange(blobPath(directory, digest), range, memoryFor(transient)),
  }
}

export function archivedLayout(archive: ArchiveFiles): LayoutFiles {
  const { place } = archive
  const find = (name: string, what: string): ArchivedFile => {
    const found = archive.find(name)
    if (found === undefined) throw new ImageError('layout.missing', `${place}: no ${what}`)
    return found
  }
  const blob = (digest: Digest) => find(blobName(digest), `blob ${digest}`)
  return {
    place,
    async readSmall(name) {
      const found = find(name, name)
      assertSmall(found.size, `${place}: ${name}`)
      return archive.readWhole(found)
    },
    sizeOf: (digest) => Promise.resolve().then(() => blob(digest).size),
    read: (digest, range, transient) => archive.read(blob(digest), range, memoryFor(transient)),
  }
}

function memoryFor(transient: boolean): Uint8Array | undefined {
  return transient ? new Uint8Array(READ_BYTES) : undefined
}

function assertSmall(size: number, what: string): void {
  if (size > MAX_MANIFEST_BYTES)
    throw new ImageError('document.too-large', `${what}: ${size} bytes, at most ${MAX_MANIFEST_BYTES}`)
}
