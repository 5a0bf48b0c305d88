import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { ImageError } from '../errors.ts'
import { type ByteString, fromText, toDisplay, toFsPath } from '../tar/format.ts'
import type { Timestamp } from '../tar/pax.ts'
import { type AttributesOf, setAttributes } from './special-nodes.ts'
import { join, type Metadata, type TreeNode } from './tree.ts'

/** `apply` gives files the owners of the image, which takes root; `squash` leaves all to the user who unpacks. */
export type Ownership = 'apply' | 'squash'

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * The file system below one root. Paths come from the tree, so no parent is a link; every creation is exclusive and
 * none follows a link at its end.
 */
export class Disk {
  readonly root: string
  readonly #root: ByteString
  protected readonly ownership: Ownership
  #born: Newborn | undefined

  constructor(root: string, ownership: Ownership) {
    this.root = root
    this.#root = fromText(root)
    this.ownership = ownership
  }

  makeDirectory(path: ByteString): void {
    attempt(path, () => mkdirSync(this.at(path), 0o700))
  }

  /** A layer describes a directory that is there; it may be of a lower layer. */
  keepDirectory(_path: ByteString): void {
    // nothing to do on one disk for all layers
  }

  /** The file gets its mode at once where that works: nobody else can enter the root while it is unpacked. */
  createFile(path: ByteString, metadata: Metadata): number {
    return attempt(path, () => openSync(this.at(path), CREATE, metadata.mode & 0o777))
  }

  write(path: ByteString, file: number, chunk: Uint8Array, position: number | null): void {
    attempt(path, () => {
      let at = 0
      while (at < chunk.length)
        at += writeSync(file, chunk, at, chunk.length - at, position === null ? null : position + at)
    })
  }

  /** Closes in any case. */
  finishFile(path: ByteString, file: number, metadata: Metadata, truncateTo?: number): void {
    attempt(path, () => {
      try {
        if (truncateTo !== undefined) ftruncateSync(file, truncateTo)
        const born = this.#newborn()
        const foreign = metadata.uid !== born.uid || metadata.gid !== born.gid
        if (this.ownership === 'apply' && foreign) fchownSync(file, metadata.uid, metadata.gid)
        // after chown, which takes setuid away
        if ((metadata.mode & ~0o777) !== 0 || (metadata.mode & born.maskedBits) !== 0) fchmodSync(file, metadata.mode)
        const time = toNodeTime(metadata.mtime)
        futimesSync(file, time, time)
      } finally {
        closeSync(file)
      }
    })
  }

  closeFile(path: ByteString, file: number): void {
    attempt(path, () => closeSync(file))
  }

  symlink(path: ByteString, target: ByteString, metadata: Metadata): void {
    attempt(path, () => {
      const file = this.at(path)
      symlinkSync(toFsPath(target), file)
      if (this.ownership === 'apply') lchownSync(file, metadata.uid, metadata.gid)
      const time = toNodeTime(metadata.mtime)
      lutimesSync(file, time, time)
    })
  }

  /**
   * link(2): does not follow a link at the end of `from`.
   *
   * @param _node - What is at `from`; it may be of a lower layer.
   */
  hardlink(from: ByteString, path: ByteString, _node: TreeNode): void {
    attempt(path, () => linkSync(this.at(from), this.at(path)))
  }

  /** Takes over a node that was made elsewhere on the same file system. Exclusive, unlike rename. */
  adopt(from: string, path: ByteString, metadata: Metadata): void {
    attempt(path, () => {
      const file = this.at(path)
      linkSync(from, file)
      unlinkSync(from)
      if (this.ownership === 'apply') lchownSync(file, metadata.uid, metadata.gid)
      chmodSync(file, metadata.mode)
      const time = toNodeTime(metadata.mtime)
      utimesSync(file, time, time)
    })
  }

  /** Owner, mode and time of something that exists and is no link. */
  describe(path: ByteString, metadata: Metadata): void {
    attempt(path, () => {
      const directory = this.at(path)
      if (this.ownership === 'apply') chownSync(directory, metadata.uid, metadata.gid)
      chmodSync(directory, metadata.mode)
      const time = toNodeTime(metadata.mtime)
      utimesSync(directory, time, time)
    })
  }

  /** Extended attributes of files that are complete: writing into one takes its capabilities away again. */
  setAttributes(files: readonly AttributesOf[]): void {
    setAttributes(this.root, files)
  }

  /** A whiteout: what lower layers have here is gone. */
  hideLower(path: ByteString, node: TreeNode): void {
    this.#delete(path, node)
  }

  /** Something else is about to be put where a lower layer has `node`. */
  replaceLower(path: ByteString, node: TreeNode): void {
    this.#delete(path, node)
  }

  /** Walks the tree, never the disk: no link is followed. */
  #delete(path: ByteString, node: TreeNode): void {
    if (node.kind === 'directory') {
      for (const [name, child] of node.children) this.#delete(join(path, name), child)
      attempt(path, () => rmdirSync(this.at(path)))
    } else attempt(path, () => unlinkSync(this.at(path)))
  }

  /** What a file has when it is made: found out once, so that most files need no call to change it. */
  #newborn(): Newborn {
    return (this.#born ??= newbornIn(this.#root))
  }

  protected at(path: ByteString): string | Buffer {
    return toFsPath(path === '' ? this.#root : `${this.#root}/${path}`)
  }
}

interface Newborn {
  readonly uid: number
  readonly gid: number
  /** Mode bits that the process's umask takes away. */
  readonly maskedBits: number
}

/** Tried, not computed: umask, setgid of the parent and default ACLs all have their say. */
function newbornIn(root: ByteString): Newborn {
  const probe = toFsPath(`${root}.probe`)
  const file = openSync(probe, CREATE, 0o777)
  try {
    const { uid, gid, mode } = fstatSync(file)
    return { uid, gid, maskedBits: 0o777 & ~mode }
  } finally {
    closeSync(file)
    unlinkSync(probe)
  }
}

/**
 * Node takes times as doubles: exact to a quarter of a microsecond in our century. It reads a negative number as "now",
 * so times before 1970 go through a Date, exact to a millisecond.
 */
function toNodeTime(time: Timestamp): number | Date {
  const seconds = time.seconds + time.nanoseconds / 1e9
  return seconds < 0 ? new Date(seconds * 1000) : seconds
}

/** One border for errors of the operating system. */
export function attempt<T>(path: ByteString, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    const entry = toDisplay(path)
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    if (code === 'EEXIST')
      throw new ImageError('unpack.collision', 'the file system takes this name for one that exists already', {
        cause,
        entry,
      })
    if (code === 'ENAMETOOLONG')
      throw new ImageError('unpack.limit', 'path too long for the file system', { cause, entry })
    throw new ImageError('unpack.filesystem', `the file system refused: ${code}`, { cause, entry })
  }
}
