import { ImageError } from '../errors.ts'
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
  /** Uncompressed bytes for each compressed byte, once the first 16 MiB are through. */
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

/** Counts against the limits, over all layers of an image. */
export class Meter {
  readonly limits: UnpackLimits
  entries = 0
  totalBytes = 0

  constructor(limits: UnpackLimits) {
    this.limits = limits
  }

  countEntry(size: number, path: ByteString): void {
    this.entries++
    if (this.entries > this.limits.maxEntries)
      throw new ImageError('unpack.limit', `more than ${this.limits.maxEntries} entries`, { entry: toDisplay(path) })
    this.totalBytes += size
    if (this.totalBytes > this.limits.maxTotalBytes)
      throw new ImageError('unpack.limit', `files of more than ${this.limits.maxTotalBytes} bytes in all`, {
        entry: toDisplay(path),
      })
  }
}
