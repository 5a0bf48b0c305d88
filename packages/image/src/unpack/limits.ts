import { ImageError } from '../errors.ts'
import type { Content } from '../oci/digest.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'

/** Caps on what an image may cost (H10). Time is capped by `signal`. */
export interface UnpackLimits {
  /** Uncompressed bytes of one layer's archive. */
  readonly maxLayerBytes: number
  /** Sizes of all files of all layers, holes included: what the tree could grow to. */
  readonly maxTotalBytes: number
  /** Entries of all layers, whiteouts included. */
  readonly maxEntries: number
  /** Directories in a path, links followed. */
  readonly maxDepth: number
  /** Uncompressed bytes for each compressed byte, and bytes of holes likewise, once the first 16 MiB are through. */
  readonly maxRatio: number
}

export const DEFAULT_UNPACK_LIMITS: UnpackLimits = {
  maxLayerBytes: 32 * 2 ** 30,
  maxTotalBytes: 64 * 2 ** 30,
  maxEntries: 1_000_000,
  maxDepth: 256,
  maxRatio: 200,
}

/** The longest path that Linux takes, without its NUL. */
export const MAX_PATH_BYTES = 4095
export const MAX_NAME_BYTES = 255

/** A ratio says little about the first few bytes. */
export const RATIO_FROM = 16 * 1024 * 1024

/** Counts against the limits, over all layers of an image that are unpacked now. */
export class Meter {
  readonly limits: UnpackLimits
  entries = 0
  totalBytes = 0
  /** Bytes of layers as they are stored, read so far. */
  readBytes = 0
  #holeBytes = 0

  constructor(limits: UnpackLimits) {
    this.limits = limits
  }

  /**
   * Refuses a layer by what its descriptor says, before any of it is fetched: compression does not make an archive
   * larger than itself, so a blob beyond the limit could only fill the disk.
   */
  checkStored({ digest, size }: Content): void {
    if (size > this.limits.maxLayerBytes)
      throw new ImageError(
        'unpack.limit',
        `layer ${digest}: stored in ${size} bytes, at most ${this.limits.maxLayerBytes}`,
      )
  }

  countEntry(path: ByteString): void {
    this.entries++
    if (this.entries > this.limits.maxEntries) throw refused(`more than ${this.limits.maxEntries} entries`, path)
  }

  /** A file, or a copy that the unpacker makes of one. */
  countFile(size: number, path: ByteString): void {
    this.totalBytes += size
    if (this.totalBytes > this.limits.maxTotalBytes)
      throw refused(`files of more than ${this.limits.maxTotalBytes} bytes in all`, path)
  }

  /** Holes take no disk, but whoever hashes the file reads them all: they count like what expands. */
  countHoles(bytes: number, path: ByteString): void {
    this.#holeBytes += bytes
    if (this.#holeBytes > RATIO_FROM && this.#holeBytes > this.readBytes * this.limits.maxRatio)
      throw refused(`sparse files with holes of more than ${this.limits.maxRatio} times the layer's size`, path)
  }
}

function refused(why: string, path: ByteString): ImageError {
  return new ImageError('unpack.limit', why, { entry: toDisplay(path) })
}
