import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex, digestOf, parseDigest } from '../oci/digest.ts'
import type { UnpackProfile } from '../unpack/profile.ts'
import { firstDifference, listSnapshot, type ListingEntry, parseListing } from './listing.ts'
import { removeTree } from '../unpack/owner-access.ts'
import { takeLock } from './store-lock.ts'
import { readRecord, type StoredImage } from './stored-image.ts'

/** What became of a stored snapshot. */
export type LayerCheck =
  | { readonly kind: 'absent' }
  | { readonly kind: 'intact'; readonly entries: readonly ListingEntry[] }
  | { readonly kind: 'corrupt'; readonly difference: string }

/**
 * Unpacked layers and accepted images on disk, for one process at a time; that process may pull and remove several
 * images at once.
 *
 * The directory must belong to who uses it and be closed to all others: a snapshot is compared with its listing
 * before it is used again, which finds damage and accidents, but whoever can write here can write the listing too.
 */
export class SnapshotStore {
  readonly directory: string
  readonly #lock: string
  /** Snapshots that a pull under way needs, and how many do. */
  readonly #held = new Map<Digest, number>()

  private constructor(directory: string, lock: string) {
    this.directory = directory
    this.#lock = lock
  }

  /**
   * @param profile - Part of what a snapshot is: a store keeps to one. Left out by who unpacks nothing.
   * @throws {ImageError} `store.busy` while another process has it, `store.filesystem` when others may write to it,
   *   `store.profile` when it was made for another profile.
   */
  static open(directory: string, profile?: UnpackProfile): SnapshotStore {
    onDisk(directory, () => mkdirSync(directory, { recursive: true, mode: 0o700 }))
    const stat = lstatSync(directory)
    if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0)
      throw new ImageError('store.filesystem', `${directory}: must be a directory of this user with mode 0700`)
    const store = new SnapshotStore(directory, takeLock(directory))
    try {
      onDisk(directory, () => {
        if (profile !== undefined) store.#checkFormat(JSON.stringify({ version: 1, profile }))
        for (const name of ['layers', 'images']) mkdirSync(path.join(directory, name), { recursive: true, mode: 0o700 })
        // what a process that was killed left half done
        removeTree(path.join(directory, 'staging'))
        mkdirSync(path.join(directory, 'staging'), { mode: 0o700 })
      })
      return store
    } catch (error) {
      store.close()
      throw error
    }
  }

  close(): void {
    rmSync(this.#lock, { force: true })
  }

  /** A private directory on the store's file system; the caller removes it. */
  staging(): string {
    const directory = path.join(this.directory, 'staging', randomBytes(12).toString('hex'))
    onDisk(directory, () => mkdirSync(directory, { mode: 0o700 }))
    return directory
  }

  /** Keeps snapshots from being removed until the result is disposed of: a pull builds on those that it found. */
  hold(chain: readonly Digest[]): Disposable {
    for (const chainId of chain) this.#held.set(chainId, (this.#held.get(chainId) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        for (const chainId of chain) {
          const left = (this.#held.get(chainId) ?? 0) - 1
          if (left > 0) this.#held.set(chainId, left)
          else this.#held.delete(chainId)
        }
      },
    }
  }

  /** Root of a snapshot. */
  layerRoot(chainId: Digest): string {
    return path.join(this.#layer(chainId), 'diff')
  }

  /**
   * Compares a snapshot with its listing: every name, mode, owner, time and byte is looked at. One that differs is
   * taken away at once, so that it can be made again.
   */
  checkLayer(chainId: Digest): LayerCheck {
    const layer = this.#layer(chainId)
    if (!existsSync(layer)) return { kind: 'absent' }
    const corrupt = (difference: string): LayerCheck => {
      removeTree(layer)
      return { kind: 'corrupt', difference }
    }
    try {
      const recorded = readFileSync(path.join(layer, 'listing'), 'utf8')
      if (digestOf(Buffer.from(recorded)) !== readFileSync(path.join(layer, 'listing.digest'), 'utf8'))
        return corrupt('its listing was changed')
      const found = listSnapshot(path.join(layer, 'diff'))
      if (found !== recorded) return corrupt(firstDifference(recorded, found))
      return { kind: 'intact', entries: parseListing(recorded) }
    } catch (error) {
      return corrupt(`cannot be read: ${(error as Error).message}`)
    }
  }

  /** Publishes a finished snapshot in one rename; where another pull has made the same meanwhile, that one stays. */
  addLayer(chainId: Digest, staged: string): void {
    const listing = listSnapshot(path.join(staged, 'diff'))
    const layer = this.#layer(chainId)
    onDisk(layer, () => {
      writeFileSync(path.join(staged, 'listing'), listing)
      writeFileSync(path.join(staged, 'listing.digest'), digestOf(Buffer.from(listing)))
      mkdirSync(path.dirname(layer), { recursive: true, mode: 0o700 })
      if (!existsSync(layer)) renameSync(staged, layer)
    })
  }

  putImage(image: Omit<StoredImage, 'references'>, reference: string): StoredImage {
    // a damaged record counts for nothing: the image was accepted anew, under the name that it was asked by
    const before = this.#readable(image.manifestDigest)?.references ?? []
    const references = [...new Set([...before, reference])].sort()
    const record: StoredImage = { ...image, references }
    const temporary = path.join(this.directory, 'staging', randomBytes(12).toString('hex'))
    onDisk(temporary, () => {
      writeFileSync(temporary, JSON.stringify(record), { flush: true })
      renameSync(temporary, this.#record(image.manifestDigest))
      syncDirectory(path.join(this.directory, 'images'))
    })
    return record
  }

  find(manifestDigest: Digest): StoredImage | undefined {
    const file = this.#record(manifestDigest)
    return existsSync(file) ? readRecord(readFileSync(file), manifestDigest) : undefined
  }

  /** @throws {ImageError} `store.corrupt` for a record that is damaged: pulling or removing that image mends it. */
  list(): readonly StoredImage[] {
    return this.#images().flatMap((digest) => this.find(digest) ?? [])
  }

  /** Directories for an overlay mount, topmost first, as `lowerdir` wants them. */
  lowerDirs(image: StoredImage): readonly string[] {
    return image.chain.map((chainId) => this.layerRoot(chainId)).toReversed()
  }

  /**
   * Forgets an image and takes away the snapshots that no image needs any more, those of pulls that failed among them.
   *
   * @throws {ImageError} `store.missing`; `store.busy` while one of its snapshots is mounted.
   */
  remove(manifestDigest: Digest): void {
    const record = this.#record(manifestDigest)
    if (!existsSync(record)) throw new ImageError('store.missing', `no image ${manifestDigest}`)
    const needed = this.#neededByOthers(manifestDigest)
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    const isMounted = (chainId: Digest) => mounts.includes(`/${digestHex(chainId)}/diff`)
    const mounted = this.#readable(manifestDigest)?.chain.find(isMounted)
    if (mounted !== undefined && needed?.has(mounted) !== true)
      throw new ImageError('store.busy', `image ${manifestDigest}: snapshot ${mounted} is mounted`)
    onDisk(record, () => {
      rmSync(record)
      if (needed === undefined) return
      for (const chainId of this.#snapshots())
        if (!needed.has(chainId) && !this.#held.has(chainId) && !isMounted(chainId)) removeTree(this.#layer(chainId))
    })
  }

  /** `undefined` where a record is damaged: nobody knows then what its image needs. */
  #neededByOthers(manifestDigest: Digest): ReadonlySet<Digest> | undefined {
    const others = this.#images().filter((other) => other !== manifestDigest)
    const images = others.map((other) => this.#readable(other))
    return images.includes(undefined) ? undefined : new Set(images.flatMap((image) => image?.chain ?? []))
  }

  #readable(manifestDigest: Digest): StoredImage | undefined {
    try {
      return this.find(manifestDigest)
    } catch (error) {
      if (error instanceof ImageError && error.code === 'store.corrupt') return undefined
      throw error
    }
  }

  #images(): readonly Digest[] {
    return readdirSync(path.join(this.directory, 'images'))
      .sort()
      .map((name) => parseDigest(name.replace('-', ':').replace(/\.json$/, ''), 'image record'))
  }

  #snapshots(): readonly Digest[] {
    const layers = path.join(this.directory, 'layers')
    return readdirSync(layers).flatMap((algorithm) =>
      readdirSync(path.join(layers, algorithm)).map((hex) => parseDigest(`${algorithm}:${hex}`, 'snapshot')),
    )
  }

  #layer(chainId: Digest): string {
    return path.join(this.directory, 'layers', digestAlgorithm(chainId), digestHex(chainId))
  }

  #record(manifestDigest: Digest): string {
    return path.join(this.directory, 'images', `${manifestDigest.replace(':', '-')}.json`)
  }

  #checkFormat(wanted: string): void {
    const file = path.join(this.directory, 'format')
    const found = existsSync(file) ? readFileSync(file, 'utf8') : ''
    if (found === '') return writeFileSync(file, wanted)
    if (found !== wanted)
      throw new ImageError('store.profile', `${this.directory}: made as ${found}, opened as ${wanted}`)
  }
}

/** One border for errors of the operating system: a full disk is no bug. */
function onDisk<T>(place: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    throw new ImageError('store.filesystem', `${place}: ${(cause as NodeJS.ErrnoException).code ?? 'unknown'}`, {
      cause,
    })
  }
}

/** Makes a rename durable. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
