import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex, digestOf, parseDigest } from '../oci/digest.ts'
import { asObject, asString, asStringList, asArray, member, parseJsonObject } from '../oci/json.ts'
import type { UnpackProfile } from '../unpack/profile.ts'
import { firstDifference, listSnapshot, type ListingEntry, parseListing } from './listing.ts'

/** What the store remembers of an image that was pulled and accepted. */
export interface StoredImage {
  /** Normal references it was accepted for, sorted. Each pull under another name was checked for that name. */
  readonly references: readonly string[]
  readonly manifestDigest: Digest
  readonly configDigest: Digest
  readonly diffIds: readonly Digest[]
  /** Snapshots, lowest first. */
  readonly chain: readonly Digest[]
  /** Bytes as the registry sent them. */
  readonly manifest: string
  readonly config: string
}

/** What became of a stored snapshot. */
export type LayerCheck =
  | { readonly kind: 'absent' }
  | { readonly kind: 'intact'; readonly entries: readonly ListingEntry[] }
  | { readonly kind: 'corrupt'; readonly difference: string }

const MAX_RECORD_BYTES = 32 * 1024 * 1024

/**
 * Unpacked layers and accepted images on disk, for one process at a time.
 *
 * The directory must belong to who uses it and be closed to all others: a snapshot is compared with its listing
 * before it is used again, which finds damage and accidents, but whoever can write here can write the listing too.
 */
export class SnapshotStore {
  readonly directory: string
  readonly #lock: string

  private constructor(directory: string, lock: string) {
    this.directory = directory
    this.#lock = lock
  }

  /**
   * @param profile - Part of what a snapshot is: a store keeps to one.
   * @throws {ImageError} `store.busy` while another process has it, `store.filesystem` when others may write to it,
   *   `store.corrupt` when it was made for another profile.
   */
  static open(directory: string, profile: UnpackProfile): SnapshotStore {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const stat = lstatSync(directory)
    if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0)
      throw new ImageError('store.filesystem', `${directory}: must be a directory of this user with mode 0700`)
    const lock = takeLock(path.join(directory, 'lock'))
    const store = new SnapshotStore(directory, lock)
    try {
      store.#checkFormat(JSON.stringify({ version: 1, profile }))
      for (const name of ['layers', 'images']) mkdirSync(path.join(directory, name), { recursive: true, mode: 0o700 })
      // what a process that was killed left half done
      rmSync(path.join(directory, 'staging'), { recursive: true, force: true })
      mkdirSync(path.join(directory, 'staging'), { mode: 0o700 })
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
    mkdirSync(directory, { mode: 0o700 })
    return directory
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
      rmSync(layer, { recursive: true, force: true })
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

  /** Publishes a finished snapshot in one rename. */
  addLayer(chainId: Digest, staged: string): void {
    const listing = listSnapshot(path.join(staged, 'diff'))
    writeFileSync(path.join(staged, 'listing'), listing)
    writeFileSync(path.join(staged, 'listing.digest'), digestOf(Buffer.from(listing)))
    const layer = this.#layer(chainId)
    mkdirSync(path.dirname(layer), { recursive: true, mode: 0o700 })
    renameSync(staged, layer)
  }

  putImage(image: Omit<StoredImage, 'references'>, reference: string): StoredImage {
    const before = this.find(image.manifestDigest)
    const references = [...new Set([...(before?.references ?? []), reference])].sort()
    const record: StoredImage = { ...image, references }
    const temporary = path.join(this.directory, 'staging', randomBytes(12).toString('hex'))
    writeFileSync(temporary, JSON.stringify(record))
    renameSync(temporary, this.#record(image.manifestDigest))
    return record
  }

  find(manifestDigest: Digest): StoredImage | undefined {
    const file = this.#record(manifestDigest)
    return existsSync(file) ? readRecord(readFileSync(file), manifestDigest) : undefined
  }

  list(): readonly StoredImage[] {
    return readdirSync(path.join(this.directory, 'images'))
      .sort()
      .map((name) => {
        const digest = parseDigest(name.replace('-', ':').replace(/\.json$/, ''), 'image record')
        return readRecord(readFileSync(path.join(this.directory, 'images', name)), digest)
      })
  }

  /** Directories for an overlay mount, topmost first, as `lowerdir` wants them. */
  lowerDirs(image: StoredImage): readonly string[] {
    return image.chain.map((chainId) => this.layerRoot(chainId)).toReversed()
  }

  /**
   * Forgets an image and takes away the snapshots that no other image needs.
   *
   * @param inUse - Snapshots that are mounted.
   * @throws {ImageError} `store.missing`, `store.busy`.
   */
  remove(manifestDigest: Digest, inUse: ReadonlySet<Digest> = new Set()): void {
    const image = this.find(manifestDigest)
    if (image === undefined) throw new ImageError('store.missing', `no image ${manifestDigest}`)
    const mounted = image.chain.find((chainId) => inUse.has(chainId))
    if (mounted !== undefined)
      throw new ImageError('store.busy', `image ${manifestDigest}: snapshot ${mounted} is mounted`)
    rmSync(this.#record(manifestDigest))
    const needed = new Set(this.list().flatMap((other) => other.chain))
    for (const chainId of image.chain)
      if (!needed.has(chainId)) rmSync(this.#layer(chainId), { recursive: true, force: true })
  }

  #layer(chainId: Digest): string {
    return path.join(this.directory, 'layers', digestAlgorithm(chainId), digestHex(chainId))
  }

  #record(manifestDigest: Digest): string {
    return path.join(this.directory, 'images', `${manifestDigest.replace(':', '-')}.json`)
  }

  #checkFormat(wanted: string): void {
    const file = path.join(this.directory, 'format')
    if (!existsSync(file)) return writeFileSync(file, wanted)
    const found = readFileSync(file, 'utf8')
    if (found !== wanted)
      throw new ImageError('store.corrupt', `${this.directory}: made as ${found}, opened as ${wanted}`)
  }
}

/** Verified like everything else that comes from outside the process. */
function readRecord(bytes: Uint8Array, manifestDigest: Digest): StoredImage {
  const what = `image record ${manifestDigest}`
  const object = parseJsonObject(bytes, what, MAX_RECORD_BYTES)
  const digests = (name: string) =>
    asArray(member(object, name), `${what}.${name}`, 512).map((text) => parseDigest(text, what))
  const record: StoredImage = {
    references: asStringList(member(asObject(object, what), 'references'), `${what}.references`),
    manifestDigest: parseDigest(member(object, 'manifestDigest'), what),
    configDigest: parseDigest(member(object, 'configDigest'), what),
    diffIds: digests('diffIds'),
    chain: digests('chain'),
    manifest: asString(member(object, 'manifest'), `${what}.manifest`),
    config: asString(member(object, 'config'), `${what}.config`),
  }
  const actual = [record.manifest, record.config].map((text, i) =>
    digestOf(Buffer.from(text, 'base64'), digestAlgorithm(i === 0 ? record.manifestDigest : record.configDigest)),
  )
  if (record.manifestDigest !== manifestDigest || actual[0] !== manifestDigest || actual[1] !== record.configDigest)
    throw new ImageError('store.corrupt', `${what}: its documents do not have its digests`)
  return record
}

/** The lock names its process; one that no longer runs holds nothing. */
function takeLock(file: string): string {
  const own = `${process.pid} ${startTime(process.pid) ?? ''}`
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, own, { flag: 'wx', mode: 0o600 })
      return file
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new ImageError('store.filesystem', `${file}: cannot be written`, { cause: error })
      const holder = readFileSync(file, 'utf8')
      const [pid = '', started = ''] = holder.split(' ')
      if (startTime(Number(pid)) === started)
        throw new ImageError('store.busy', `${file}: process ${pid} has the store open`)
      rmSync(file, { force: true })
    }
  }
  throw new ImageError('store.busy', `${file}: another process is opening the store`)
}

/** Field 22 of /proc/<pid>/stat: tells a process from a later one of the same number. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
