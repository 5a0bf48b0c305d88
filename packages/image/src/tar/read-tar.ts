import { ImageError } from '../errors.ts'
import { BLOCK, type ByteString, type EntryKind, toByteString, toDisplay } from './format.ts'
import { isZeroBlock, natural, parseHeader, type RawHeader } from './header.ts'
import { checkGlobalPax, parsePax, type PaxFields, type Timestamp } from './pax.ts'
import {
  checkSparse,
  type Extent,
  MAX_EXTENTS,
  readGnuExtents,
  readPaxSparse,
  InDataMapReader,
  type SparseMap,
} from './sparse.ts'

/** One entry as the archive states it. Names are not checked: no `..`, no `/`, nothing is resolved here. */
export interface TarEntry {
  readonly kind: EntryKind
  readonly path: ByteString
  readonly linkTarget: ByteString
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of the file that results, holes included. */
  readonly size: number
  /** Bytes of it that the archive holds: what a sparse file has between its holes. */
  readonly stored: number
  readonly mtime: Timestamp
  readonly deviceMajor: number
  readonly deviceMinor: number
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>
  readonly sparse: boolean
}

/** Called in the archive's order. A chunk is only lent: its memory changes after the call. */
export interface TarVisitor {
  begin(entry: TarEntry): void
  data(chunk: Uint8Array, offset: number): void
  end(): void
}

export interface TarEnd {
  /** False when the archive stops at an entry boundary without its two zero blocks (umoci writes such layers). */
  readonly terminated: boolean
}

/** Longest extended header, long name, or sparse map. */
const MAX_META = 1024 * 1024

const KINDS: ReadonlyMap<string, EntryKind> = new Map([
  ['0', 'file'],
  ['\0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
])

/** What the parser waits for: exactly so many bytes, or any number up to that. */
interface Want {
  readonly bytes: number
  readonly partial: boolean
  /** The archive may end here. */
  readonly boundary?: 'entry' | 'padding' | 'after-zero' | 'terminated'
}

interface Pending {
  pax?: PaxFields
  longName?: ByteString
  longLink?: ByteString
}

/**
 * A tar reader that is pushed chunks of any size and holds no more than one header's worth. Reads ustar, pax, GNU and
 * star, with long names, base-256 numbers, extended attributes and all sparse formats; refuses what two readers could
 * understand differently.
 *
 * @throws {ImageError} `tar.malformed`, `tar.truncated`, `tar.unsupported`.
 */
export class TarReader {
  readonly #visitor: TarVisitor
  readonly #parser: Generator<Want, void, Uint8Array>
  #want: Want | undefined
  #held = new Uint8Array(0)
  #filled = 0
  #path: ByteString | undefined
  #position = 0

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor
    this.#parser = this.#archive()
    this.#advance(undefined)
  }

  /** Bytes of the archive that were taken in: while an entry begins, where its content does. */
  get position(): number {
    return this.#position
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const want = this.#want
      if (want === undefined) return
      const available = chunk.length - at
      if (want.partial || (this.#filled === 0 && available >= want.bytes)) {
        const taken = Math.min(available, want.bytes)
        this.#position += taken
        this.#advance(chunk.subarray(at, at + taken))
        at += taken
        continue
      }
      if (this.#filled === 0) this.#held = new Uint8Array(want.bytes)
      const taken = Math.min(available, want.bytes - this.#filled)
      this.#held.set(chunk.subarray(at, at + taken), this.#filled)
      this.#filled += taken
      this.#position += taken
      at += taken
      if (this.#filled < want.bytes) return
      this.#filled = 0
      this.#advance(this.#held)
    }
  }

  /** Call once, after the last chunk. */
  finish(): TarEnd {
    const boundary = this.#want?.boundary
    if (boundary === undefined || this.#filled > 0)
      throw new ImageError('tar.truncated', 'the archive ends inside this entry', entryOption(this.#path))
    return { terminated: boundary === 'terminated' }
  }

  #advance(bytes: Uint8Array | undefined): void {
    try {
      const next = bytes === undefined ? this.#parser.next() : this.#parser.next(bytes)
      this.#want = next.done === true ? undefined : next.value
    } catch (error) {
      if (
        error instanceof ImageError &&
        error.entry === undefined &&
        error.code.startsWith('tar.') &&
        this.#path !== undefined
      )
        throw new ImageError(error.code, error.message, { cause: error, ...entryOption(this.#path) })
      throw error
    }
  }

  *#archive(): Generator<Want, void, Uint8Array> {
    let pending: Pending = {}
    let fresh = true
    for (;;) {
      const block: Uint8Array = yield { bytes: BLOCK, partial: false, ...(fresh ? { boundary: 'entry' as const } : {}) }
      if (isZeroBlock(block)) {
        if (!fresh) throw new ImageError('tar.malformed', 'an extended header without an entry')
        const second: Uint8Array = yield { bytes: BLOCK, partial: false, boundary: 'after-zero' }
        if (!isZeroBlock(second)) throw new ImageError('tar.malformed', 'a single zero block between entries')
        return yield* this.#afterEnd()
      }
      const header = parseHeader(block)
      if (yield* this.#meta(header, pending)) {
        fresh = false
        continue
      }
      yield* this.#entry(header, pending, block)
      pending = {}
      fresh = true
    }
  }

  /** After its end an archive may only be padded with zeros: what else follows, some readers would unpack. */
  *#afterEnd(): Generator<Want, void, Uint8Array> {
    this.#path = undefined
    for (;;) {
      const rest: Uint8Array = yield { bytes: MAX_META, partial: true, boundary: 'terminated' }
      if (rest.some((byte) => byte !== 0)) throw new ImageError('tar.malformed', 'content after the end of the archive')
    }
  }

  /** Takes in a header that only describes the next one. */
  *#meta(header: RawHeader, pending: Pending): Generator<Want, boolean, Uint8Array> {
    const { typeflag } = header
    if (!'xgLK'.includes(typeflag)) return false
    if (header.size > MAX_META)
      throw new ImageError('tar.malformed', `extended header of ${header.size} bytes, at most ${MAX_META}`)
    const body = header.size === 0 ? new Uint8Array(0) : new Uint8Array(yield { bytes: header.size, partial: false })
    yield* skipPadding(header.size)
    if (typeflag === 'g') {
      if (Object.keys(pending).length > 0)
        throw new ImageError('tar.malformed', 'a global header between an extended header and its entry')
      checkGlobalPax(body)
    } else if (typeflag === 'x') {
      if (pending.pax !== undefined) throw new ImageError('tar.malformed', 'two extended headers for one entry')
      pending.pax = parsePax(body)
    } else {
      const name = longName(body)
      const slot = typeflag === 'L' ? 'longName' : 'longLink'
      if (pending[slot] !== undefined) throw new ImageError('tar.malformed', 'two long names for one entry')
      pending[slot] = name
    }
    return true
  }

  *#entry(header: RawHeader, pending: Pending, block: Uint8Array): Generator<Want, void, Uint8Array> {
    const pax = pending.pax
    const paxSparse = readPaxSparse(pax?.sparse ?? [])
    const path = onlyOne('path', paxSparse?.name ?? pax?.path, pending.longName) ?? header.name
    this.#path = path
    const linkTarget = onlyOne('link', pax?.linkpath, pending.longLink) ?? header.linkname
    const stored = pax?.size ?? header.size
    const kind = entryKind(header, path)
    if (kind !== 'file' && stored !== 0)
      throw new ImageError('tar.malformed', `${kind} with ${stored} bytes of content`)
    if ((kind === 'symlink' || kind === 'hardlink') && linkTarget === '')
      throw new ImageError('tar.malformed', `${kind} to nowhere`)
    const sparse = yield* this.#sparse(header, block, stored, paxSparse)
    this.#visitor.begin({
      kind,
      path,
      linkTarget,
      mode: header.mode,
      uid: pax?.uid ?? header.uid,
      gid: pax?.gid ?? header.gid,
      size: sparse?.map.realSize ?? stored,
      stored,
      mtime: pax?.mtime ?? { seconds: header.mtimeSeconds, nanoseconds: 0 },
      deviceMajor: header.deviceMajor,
      deviceMinor: header.deviceMinor,
      xattrs: pax?.xattrs ?? new Map(),
      sparse: sparse !== undefined,
    })
    for (const extent of sparse?.map.extents ?? [{ offset: 0, length: stored }]) yield* this.#data(extent)
    this.#visitor.end()
    const padding = (BLOCK - (stored % BLOCK)) % BLOCK
    if (padding > 0) yield { bytes: padding, partial: false, boundary: 'padding' }
    this.#path = undefined
  }

  *#data({ offset, length }: Extent): Generator<Want, void, Uint8Array> {
    for (let done = 0; done < length;) {
      const chunk: Uint8Array = yield { bytes: length - done, partial: true }
      this.#visitor.data(chunk, offset + done)
      done += chunk.length
    }
  }

  *#sparse(
    header: RawHeader,
    block: Uint8Array,
    stored: number,
    pax: ReturnType<typeof readPaxSparse>,
  ): Generator<Want, { readonly map: SparseMap } | undefined, Uint8Array> {
    if (header.typeflag === 'S') {
      if (header.dialect !== 'gnu' || pax !== undefined)
        throw new ImageError('tar.malformed', 'sparse file in two formats')
      // read before the block's memory is lent to the next chunk
      const realSize = natural(block, [483, 12], 'sparse size')
      const extents = readGnuExtents(block, 386, 4)
      let more = block[482] === 1
      while (more) {
        const extension: Uint8Array = yield { bytes: BLOCK, partial: false }
        extents.push(...readGnuExtents(extension, 0, 21))
        if (extents.length > MAX_EXTENTS)
          throw new ImageError('tar.malformed', `sparse map over ${MAX_EXTENTS} extents`)
        more = extension[504] === 1
      }
      return { map: checkSparse({ realSize, extents }, stored) }
    }
    if (pax === undefined) return undefined
    if (pax.kind === 'map') return { map: checkSparse({ realSize: pax.realSize, extents: pax.extents }, stored) }
    const reader = new InDataMapReader()
    for (let read = BLOCK; read <= stored && read <= MAX_META; read += BLOCK) {
      const extents = reader.add(yield { bytes: BLOCK, partial: false })
      if (extents !== undefined) return { map: checkSparse({ realSize: pax.realSize, extents }, stored - read) }
    }
    throw new ImageError('tar.malformed', 'sparse map without an end')
  }
}

function* skipPadding(size: number): Generator<Want, void, Uint8Array> {
  const padding = (BLOCK - (size % BLOCK)) % BLOCK
  if (padding > 0) yield { bytes: padding, partial: false }
}

function entryKind(header: RawHeader, path: ByteString): EntryKind {
  const kind = KINDS.get(header.typeflag)
  if (kind === undefined)
    throw new ImageError('tar.unsupported', `entry of type ${JSON.stringify(header.typeflag)}`, entryOption(path))
  if (kind !== 'file' || !path.endsWith('/')) return kind
  // archives older than ustar mark a directory by its slash; of one with a type, readers believe the one or the other
  if (header.typeflag === '\0') return 'directory'
  throw new ImageError('tar.malformed', 'a file by its type, a directory by its name', entryOption(path))
}

function onlyOne(what: string, pax: ByteString | undefined, gnu: ByteString | undefined): ByteString | undefined {
  if (pax !== undefined && gnu !== undefined && pax !== gnu)
    throw new ImageError('tar.malformed', `two different ${what} names, one by pax, one by GNU`)
  return pax ?? gnu
}

/** The text ends at its first NUL. */
function longName(body: Uint8Array): ByteString {
  const end = body.indexOf(0)
  return toByteString(end < 0 ? body : body.subarray(0, end))
}

function entryOption(path: ByteString | undefined): { entry?: string } {
  return path === undefined ? {} : { entry: toDisplay(path) }
}
