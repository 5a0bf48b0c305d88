import { constants, copyFileSync, linkSync, lstatSync, readdirSync, readlinkSync, rmdirSync, unlinkSync } from 'node:fs'
import { ImageError } from '../errors.ts'
import { type ByteString, fromText, toByteString, toDisplay, toFsPath } from '../tar/format.ts'
import { attempt, Disk, type Ownership } from '../unpack/disk.ts'
import type { Meter } from '../unpack/limits.ts'
import { withAccess } from '../unpack/owner-access.ts'
import type { UnpackProfile } from '../unpack/profile.ts'
import { readAttributes, type SpecialNodes } from '../unpack/special-nodes.ts'
import { type DirectoryNode, join, type Metadata, type Tree, type TreeNode } from '../unpack/tree.ts'

/**
 * The disk of one layer among others, as overlayfs wants it: only what the layer itself brings, and a device 0:0 where
 * it hides something. Directories of lower layers are made again, with their metadata, when something goes into them.
 *
 * The tree knows all lower layers, so an opaque directory is written as one whiteout for each thing it hides: no
 * `trusted` attribute is needed, and stacking the layers gives exactly the tree that deleting would have given.
 */
export class OverlayDisk extends Disk {
  readonly #tree: Tree
  readonly #special: Pick<SpecialNodes, 'makeWhiteout'>
  /** Roots of lower layers, by their number. */
  readonly #lower: readonly string[]
  readonly #meter: Pick<Meter, 'countFile'>
  readonly #keepsAttributes: boolean
  /** What lower layers have, read when the first is wanted. */
  readonly #attributes = new Map<number, ReturnType<typeof readAttributes>>()
  /** Directories that are on this layer's disk. */
  readonly #made = new Set<ByteString>([''])
  /** What this layer's whiteouts hide. */
  readonly #hidden = new Map<ByteString, TreeNode>()
  /** Files of lower layers that were copied up, to be linked to. */
  readonly #copied = new Set<ByteString>()
  #whiteout: string | undefined

  constructor(
    root: string,
    ownership: Ownership,
    ports: {
      readonly tree: Tree
      readonly special: Pick<SpecialNodes, 'makeWhiteout'>
      readonly lower: readonly string[]
      readonly meter: Pick<Meter, 'countFile'>
      readonly profile: Pick<UnpackProfile, 'xattrs'>
    },
  ) {
    super(root, ownership)
    this.#tree = ports.tree
    this.#special = ports.special
    this.#lower = ports.lower
    this.#meter = ports.meter
    this.#keepsAttributes = ports.profile.xattrs === 'keep'
  }

  override makeDirectory(path: ByteString): void {
    const hidden = this.#uncover(path)
    super.makeDirectory(path)
    this.#made.add(path)
    // the lower directory of this name must not shine through
    if (hidden?.kind === 'directory')
      for (const [name, child] of hidden.children) this.hideLower(join(path, name), child)
  }

  override keepDirectory(path: ByteString): void {
    this.#ensure(path)
  }

  override createFile(path: ByteString, metadata: Metadata): number {
    this.#uncover(path)
    return super.createFile(path, metadata)
  }

  override symlink(path: ByteString, target: ByteString, metadata: Metadata): void {
    this.#uncover(path)
    super.symlink(path, target, metadata)
  }

  override adopt(from: string, path: ByteString, metadata: Metadata): void {
    this.#uncover(path)
    super.adopt(from, path, metadata)
  }

  override hardlink(from: ByteString, path: ByteString, node: TreeNode): void {
    if (node.kind !== 'directory' && node.layer < this.#lower.length && !this.#copied.has(from))
      this.#copyUp(from, node, node.layer)
    this.#uncover(path)
    super.hardlink(from, path, node)
  }

  override hideLower(path: ByteString, node: TreeNode): void {
    this.#takeBack(path, node)
    this.#ensureParents(path)
    this.#hidden.set(path, node)
    this.#placeWhiteout(path)
  }

  override replaceLower(path: ByteString, node: TreeNode): void {
    this.#takeBack(path, node)
  }

  /** Gives the directories on this disk what the tree says of them. */
  describeMade(): void {
    for (const path of [...this.#made].sort().toReversed()) this.describe(path, this.#directory(path).metadata)
  }

  /** Copies or whiteouts of this layer that stand in the way. */
  #takeBack(path: ByteString, node: TreeNode): void {
    if (this.#copied.delete(path)) attempt(path, () => unlinkSync(this.at(path)))
    if (node.kind !== 'directory' || !this.#made.has(path)) return
    this.#clear(path, node)
  }

  /**
   * Removes a directory that was made for whiteouts and copies only: the tree has nothing of this layer there. What its
   * whiteouts hid goes back to the node, since it must be hidden again if the directory comes back.
   */
  #clear(path: ByteString, node: DirectoryNode): void {
    for (const found of attempt(path, () => readdirSync(this.at(path), { encoding: 'buffer' }))) {
      const name = toByteString(found)
      const below = join(path, name)
      const child = node.children.get(name)
      if (this.#made.has(below) && child?.kind === 'directory') {
        this.#clear(below, child)
        continue
      }
      attempt(below, () => unlinkSync(this.at(below)))
      const hidden = this.#hidden.get(below)
      if (hidden !== undefined) node.children.set(name, hidden)
      this.#hidden.delete(below)
      this.#copied.delete(below)
    }
    attempt(path, () => rmdirSync(this.at(path)))
    this.#made.delete(path)
  }

  /** Makes room for something new: parents there, no whiteout of ours at its place. */
  #uncover(path: ByteString): TreeNode | undefined {
    this.#ensureParents(path)
    const hidden = this.#hidden.get(path)
    if (hidden === undefined) return undefined
    this.#hidden.delete(path)
    attempt(path, () => unlinkSync(this.at(path)))
    return hidden
  }

  #ensureParents(path: ByteString): void {
    this.#ensure(parentOf(path))
  }

  #ensure(directory: ByteString): void {
    if (this.#made.has(directory)) return
    this.#ensureParents(directory)
    super.makeDirectory(directory)
    this.#made.add(directory)
    if (this.#keepsAttributes)
      this.#copyAttributes(
        directory,
        this.#lower.findLastIndex((root) => isDirectory(toFsPath(`${fromText(root)}/${directory}`))),
      )
  }

  #placeWhiteout(path: ByteString): void {
    this.#whiteout ??= this.#special.makeWhiteout()
    try {
      linkSync(this.#whiteout, this.at(path))
    } catch (cause) {
      // a file system has a limit of links to one node: take another
      if ((cause as NodeJS.ErrnoException).code !== 'EMLINK')
        throw new ImageError('unpack.filesystem', 'a whiteout could not be placed', { cause, entry: toDisplay(path) })
      this.#whiteout = this.#special.makeWhiteout()
      attempt(path, () => linkSync(this.#whiteout ?? '', this.at(path)))
    }
  }

  #copyUp(path: ByteString, node: TreeNode, layer: number): void {
    this.#ensureParents(path)
    const from = toFsPath(`${fromText(this.#lower[layer] ?? '')}/${path}`)
    const { size, metadata } = attempt(path, () => statOnDisk(from))
    if (node.kind === 'symlink') {
      super.symlink(path, toByteString(attempt(path, () => readlinkSync(from, { encoding: 'buffer' }))), metadata)
    } else if (node.kind === 'file') {
      // many names of one large file are small in a layer, and each would be copied whole
      this.#meter.countFile(size, path)
      const copy = () => copyFileSync(from, this.at(path), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
      attempt(path, () => withAccess(from, metadata.mode, 0o400, copy))
      this.describe(path, metadata)
      if (this.#keepsAttributes) this.#copyAttributes(path, layer)
    } else throw new ImageError('unpack.link', 'a hard link to a device of a lower layer', { entry: toDisplay(path) })
    this.#copied.add(path)
  }

  /** A file or directory that is made again has what it had below. */
  #copyAttributes(path: ByteString, layer: number): void {
    let known = this.#attributes.get(layer)
    if (known === undefined) this.#attributes.set(layer, (known = readAttributes(this.#lower[layer] ?? '')))
    const attributes = known.get(path)
    if (attributes !== undefined) this.setAttributes([{ path, attributes }])
  }

  #directory(path: ByteString): DirectoryNode {
    let node: TreeNode | undefined = this.#tree.root
    for (const name of path === '' ? [] : path.split('/'))
      node = node?.kind === 'directory' ? node.children.get(name) : undefined
    if (node?.kind !== 'directory')
      throw new ImageError('unpack.parent', 'a directory is gone', { entry: toDisplay(path) })
    return node
  }
}

function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

function isDirectory(file: string | Buffer): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isDirectory() === true
}

function statOnDisk(file: string | Buffer): { readonly size: number; readonly metadata: Metadata } {
  const stat = lstatSync(file, { bigint: true })
  return {
    size: Number(stat.size),
    metadata: {
      mode: Number(stat.mode & 0o7777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtime: { seconds: Number(stat.mtimeNs / 1_000_000_000n), nanoseconds: Number(stat.mtimeNs % 1_000_000_000n) },
    },
  }
}
