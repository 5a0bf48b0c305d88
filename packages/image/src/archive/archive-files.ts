import { stat } from 'node:fs/promises'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'
import { type TarEntry, TarReader, type TarVisitor } from '../tar/read-tar.ts'
import { readRange } from './read-range.ts'

/** A regular file inside an archive. */
export interface ArchivedFile {
  /** Where its content begins. */
  readonly offset: number
  readonly size: number
}

/** A few for each layer of each image; one that holds more was not written by an image tool. */
const MAX_ENTRIES = 65_536
/** Names are kept in memory, and a tar header may hold a megabyte of one; no file system takes more than this. */
const MAX_NAME_BYTES = 4096
const READ_BYTES = 1024 * 1024

/**
 * The files of a tar archive, found without unpacking it. Nothing in the archive is trusted: names that two readers could
 * understand differently are refused, and whoever reads a file compares it with the digest that is wanted.
 */
export class ArchiveFiles {
  /** As it was named, for messages. */
  readonly place: string
  readonly #files: ReadonlyMap<string, ArchivedFile>
  readonly #links: ReadonlyMap<string, string>

  private constructor(place: string, { files, links }: Table) {
    this.place = place
    this.#files = files
    this.#links = links
  }

  /**
   * Reads the archive once, from end to end.
   *
   * @throws {ImageError} `layout.missing` where there is no such file, `archive.malformed`, `tar.*`.
   */
  static async open(place: string): Promise<ArchiveFiles> {
    const found = await stat(place).catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
      throw new ImageError('layout.missing', `${place}: no such file`, { cause })
    })
    if (found.isDirectory()) throw new ImageError('archive.malformed', `${place}: a directory, and no archive`)
    if (!found.isFile())
      throw new ImageError('archive.malformed', `${place}: not a regular file, and an archive is read more than once`)
    const table = new Table(place)
    const reader = new TarReader(table)
    table.position = () => reader.position
    let first = true
    for await (const chunk of readRange(place, { start: 0, end: found.size - 1 }, new Uint8Array(READ_BYTES))) {
      if (first) assertPlain(chunk, place)
      first = false
      reader.push(chunk)
    }
    if (first) throw new ImageError('archive.malformed', `${place}: empty`)
    reader.finish()
    return new ArchiveFiles(place, table)
  }

  /**
   * @param options - `followLink`: a symbolic link to a file beside it counts as that file, as old versions of docker write
   *   a layer that stands in two images.
   */
  find(name: string, options: { readonly followLink?: boolean } = {}): ArchivedFile | undefined {
    const target = options.followLink === true ? this.#links.get(name) : undefined
    return this.#files.get(target === undefined ? name : path.posix.join(path.posix.dirname(name), target))
  }

  /** Content of a file from `start` to `end`, both included. Not verified. */
  read(
    { offset, size }: ArchivedFile,
    range: { readonly start: number; readonly end: number },
    memory?: Uint8Array,
  ): AsyncIterable<Uint8Array> {
    const end = offset + Math.min(range.end, size - 1)
    return readRange(this.place, { start: offset + range.start, end }, memory)
  }

  /** The first bytes of a file, or all where it has fewer. Not verified. */
  async readStart(file: ArchivedFile, bytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.read(file, { start: 0, end: bytes - 1 })) chunks.push(chunk)
    return new Uint8Array(Buffer.concat(chunks))
  }

  /** All of a file that its caller found to be small. Not verified. */
  async readWhole(file: ArchivedFile): Promise<Uint8Array> {
    return this.readStart(file, file.size)
  }
}

/** Takes in the archive's entries as they come. */
class Table implements TarVisitor {
  readonly files = new Map<string, ArchivedFile>()
  readonly links = new Map<string, string>()
  /** Bytes of the archive that were read: when an entry begins, where its content does. */
  position: () => number = () => 0
  readonly #place: string
  readonly #seen = new Set<string>()

  constructor(place: string) {
    this.#place = place
  }

  begin(entry: TarEntry): void {
    for (const { length } of [entry.path, entry.linkTarget])
      if (length > MAX_NAME_BYTES) throw this.#malformed(entry.path.slice(0, 100), `a name of ${length} bytes`)
    const name = nameOf(entry.path)
    if (name === undefined) throw this.#malformed(entry.path, 'a name that does not stand for itself')
    if (name === '' && entry.kind === 'directory') return
    if (this.#seen.has(name)) throw this.#malformed(entry.path, 'a name twice')
    if (this.#seen.size >= MAX_ENTRIES) throw this.#malformed(entry.path, `more than ${MAX_ENTRIES} entries`)
    this.#seen.add(name)
    if (entry.kind === 'symlink') this.links.set(name, Buffer.from(entry.linkTarget, 'latin1').toString())
    else if (entry.kind === 'file') {
      if (entry.sparse) throw this.#malformed(entry.path, 'a sparse file')
      this.files.set(name, { offset: this.position(), size: entry.size })
    } else if (entry.kind !== 'directory') throw this.#malformed(entry.path, `a ${entry.kind}`)
  }

  data(): void {}

  end(): void {}

  #malformed(entry: ByteString, what: string): ImageError {
    return new ImageError('archive.malformed', `${what}, which no archive of images has (${this.#place})`, {
      entry: toDisplay(entry),
    })
  }
}

/** Without `./` before and `/` behind; `undefined` where a part of it is empty, `.` or `..`. */
function nameOf(written: ByteString): string | undefined {
  const name = Buffer.from(written, 'latin1')
    .toString()
    .replace(/^\.(?:\/|$)/, '')
    .replace(/\/$/, '')
  if (name === '') return name
  return name.split('/').some((part) => part === '' || part === '.' || part === '..') ? undefined : name
}

const COMPRESSED: readonly (readonly [name: string, magic: readonly number[], unpack: string])[] = [
  ['gzip', [0x1f, 0x8b], 'gunzip'],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd], 'unzstd'],
  ['xz', [0xfd, 0x37, 0x7a, 0x58], 'unxz'],
  ['bzip2', [0x42, 0x5a, 0x68], 'bunzip2'],
]

/** What a file begins with tells how it is compressed; whether that is true shows when it is unpacked. */
export function compressionOf(bytes: Uint8Array): 'gzip' | 'zstd' | 'xz' | 'bzip2' | undefined {
  const found = COMPRESSED.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))
  return found?.[0] as ReturnType<typeof compressionOf>
}

function assertPlain(start: Uint8Array, place: string): void {
  const found = COMPRESSED.find(([name]) => name === compressionOf(start))
  if (found !== undefined)
    throw new ImageError('archive.malformed', `${place}: compressed as a whole; unpack it first: ${found[2]} ${place}`)
}
