import { ImageError } from '../errors.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'
import type { TarEntry, TarVisitor } from '../tar/read-tar.ts'
import type { Disk } from './disk.ts'
import { parseLinkTarget, parseTarget } from './entry-path.ts'
import type { Meter } from './limits.ts'
import { SETUID_BITS, type UnpackProfile } from './profile.ts'
import type { AttributesOf, SpecialNodes } from './special-nodes.ts'
import {
  checkTwin,
  join,
  type LeafNode,
  type Metadata,
  newDirectory,
  type Place,
  type Tree,
  type TreeNode,
} from './tree.ts'
import { detach, hideAllLower, hideLower } from './whiteout.ts'

/** Something the profile left out. */
export interface Dropped {
  readonly entry: string
  readonly what: 'device' | 'fifo' | 'setuid' | 'xattr'
}

export interface ApplyPorts {
  readonly tree: Tree
  readonly disk: Disk
  readonly special: Pick<SpecialNodes, 'make'>
  readonly meter: Meter
  readonly profile: UnpackProfile
  readonly onDropped: (dropped: Dropped) => void
}

interface OpenFile {
  readonly path: ByteString
  readonly file: number
  readonly metadata: Metadata
  readonly sparse: boolean
  readonly size: number
}

/** Attributes wait for each other, since setting them takes a process; but not for more memory than this. */
const MAX_HELD_ATTRIBUTES = 4 * 1024 * 1024

/** Applies one layer's entries to the tree and the disk. */
export class LayerApplier implements TarVisitor {
  readonly #layer: number
  readonly #ports: ApplyPorts
  readonly #fileNode: LeafNode
  readonly #specialNode: LeafNode
  #attributes: AttributesOf[] = []
  #attributeBytes = 0
  #open: OpenFile | undefined

  constructor(layer: number, ports: ApplyPorts) {
    this.#layer = layer
    this.#ports = ports
    this.#fileNode = Object.freeze({ kind: 'file', layer })
    this.#specialNode = Object.freeze({ kind: 'special', layer })
  }

  begin(entry: TarEntry): void {
    const { meter, tree, disk } = this.#ports
    if (this.#attributeBytes > MAX_HELD_ATTRIBUTES) disk.setAttributes(this.takeAttributes())
    meter.countEntry(entry.path)
    if (entry.kind === 'file') {
      meter.countFile(entry.size, entry.path)
      meter.countHoles(Math.max(0, entry.size - entry.stored), entry.path)
    }
    const target = parseTarget(entry.path)
    switch (target.kind) {
      case 'root':
        if (entry.kind !== 'directory') throw refused('unpack.escape', entry, `a ${entry.kind} in place of the root`)
        this.#describe({ node: tree.root, path: '' }, entry)
        return
      case 'whiteout':
      case 'opaque': {
        assertEmptyFile(entry)
        const place = tree.resolve(target.parents, entry.path)
        // a directory that lower layers do not have holds nothing to hide
        if (place === undefined) return
        if (target.kind === 'whiteout') hideLower(this.#ports, place, target.name, this.#layer)
        else hideAllLower(this.#ports, place, this.#layer)
        return
      }
      case 'entry':
        this.#place(this.parent(target.parents, entry.path), target.name, entry)
    }
  }

  data(chunk: Uint8Array, offset: number): void {
    const open = this.#open
    if (open !== undefined) this.#ports.disk.write(open.path, open.file, chunk, open.sparse ? offset : null)
  }

  end(): void {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined)
      this.#ports.disk.finishFile(open.path, open.file, open.metadata, open.sparse ? open.size : undefined)
  }

  /** Those that are not on the disk yet. */
  takeAttributes(): readonly AttributesOf[] {
    const taken = this.#attributes
    this.#attributes = []
    this.#attributeBytes = 0
    return taken
  }

  /** Closes a file that an error left open. */
  abandon(): void {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined) this.#ports.disk.closeFile(open.path, open.file)
  }

  /** The directory an entry goes into, made where it is missing, and marked as used by this layer all the way up. */
  parent(parents: readonly ByteString[], entry: ByteString): Place {
    const { tree, disk } = this.#ports
    const place = tree.resolve(parents, entry, (above, name) => {
      checkTwin(above.node, name, 'directory', entry)
      disk.makeDirectory(join(above.path, name))
      const node = newDirectory(above.node)
      above.node.children.set(name, node)
      return node
    })
    if (place === undefined) throw new ImageError('unpack.parent', 'has no parent', { entry: toDisplay(entry) })
    tree.touch(place.node, this.#layer)
    return place
  }

  #place(parent: Place, name: ByteString, entry: TarEntry): void {
    const path = join(parent.path, name)
    const existing = parent.node.children.get(name)
    if (existing !== undefined) {
      this.#refuseDuplicate(existing, entry)
      if (existing.kind === 'directory' && entry.kind === 'directory')
        return this.#describe({ node: existing, path }, entry)
      // what is left out does not uncover what it would have replaced
      if (this.#ruleFor(entry) === 'drop') this.#ports.disk.hideLower(path, existing)
      else this.#ports.disk.replaceLower(path, existing)
      detach(this.#ports.tree, parent, name)
    }
    switch (entry.kind) {
      case 'directory':
        return this.#makeDirectory(parent, name, entry)
      case 'file':
        return this.#createFile(parent, name, entry)
      case 'symlink':
        checkTwin(parent.node, name, 'symlink', entry.path)
        this.#ports.disk.symlink(path, entry.linkTarget, metadataOf(entry))
        parent.node.children.set(name, { kind: 'symlink', layer: this.#layer, target: entry.linkTarget })
        return this.#keepAttributes(path, entry)
      case 'hardlink':
        return this.#hardlink(parent, name, entry)
      case 'character-device':
      case 'block-device':
      case 'fifo':
        return this.#special(parent, name, entry)
    }
  }

  /** A path twice in one layer: which one counts would depend on the reader. Equal descriptions of a directory do no harm. */
  #refuseDuplicate(existing: TreeNode, entry: TarEntry): void {
    const layer = existing.kind === 'directory' ? existing.touchedBy : existing.layer
    if (layer !== this.#layer) return
    if (existing.kind === 'directory' && entry.kind === 'directory') {
      if (existing.describedBy !== this.#layer || sameMetadata(existing.metadata, metadataOf(entry))) return
    }
    throw refused('unpack.duplicate', entry, 'this layer has put something at this path already')
  }

  #makeDirectory(parent: Place, name: ByteString, entry: TarEntry): void {
    checkTwin(parent.node, name, 'directory', entry.path)
    const path = join(parent.path, name)
    this.#ports.disk.makeDirectory(path)
    const node = newDirectory(parent.node)
    parent.node.children.set(name, node)
    this.#describe({ node, path }, entry)
  }

  #describe(place: Place, entry: TarEntry): void {
    this.#ports.disk.keepDirectory(place.path)
    place.node.metadata = metadataOf(entry)
    place.node.describedBy = this.#layer
    this.#ports.tree.touch(place.node, this.#layer)
    this.#keepAttributes(place.path, entry)
  }

  #createFile(parent: Place, name: ByteString, entry: TarEntry): void {
    const path = join(parent.path, name)
    const metadata = this.#fileMetadata(entry)
    const file = this.#ports.disk.createFile(path, metadata)
    parent.node.children.set(name, this.#fileNode)
    this.#open = { path, file, metadata, sparse: entry.sparse, size: entry.size }
    this.#keepAttributes(path, entry)
  }

  #fileMetadata(entry: TarEntry): Metadata {
    const metadata = metadataOf(entry)
    if ((entry.mode & SETUID_BITS) === 0 || this.#ports.profile.setuid === 'keep') return metadata
    if (this.#ports.profile.setuid === 'refuse') throw refused('unpack.special', entry, 'has a setuid or setgid bit')
    this.#ports.onDropped({ entry: toDisplay(entry.path), what: 'setuid' })
    return { ...metadata, mode: metadata.mode & ~SETUID_BITS }
  }

  #hardlink(parent: Place, name: ByteString, entry: TarEntry): void {
    const parts = [...parseLinkTarget(entry.linkTarget, entry.path)]
    const last = parts.pop()
    const shown = toDisplay(entry.linkTarget)
    if (last === undefined) throw refused('unpack.link', entry, 'a hard link to the root')
    const from = this.#ports.tree.resolve(parts, entry.path)
    const node = from?.node.children.get(last)
    if (from === undefined || node === undefined)
      throw refused('unpack.link', entry, `a hard link to ${shown}, which is not there`)
    if (node.kind === 'directory') throw refused('unpack.link', entry, `a hard link to ${shown}, a directory`)
    if (node.kind === 'symlink') checkTwin(parent.node, name, 'symlink', entry.path)
    this.#ports.disk.hardlink(join(from.path, last), join(parent.path, name), node)
    const own =
      node.kind === 'symlink'
        ? { ...node, layer: this.#layer }
        : node.kind === 'file'
          ? this.#fileNode
          : this.#specialNode
    parent.node.children.set(name, own)
  }

  /** What the profile makes of an entry that is a device or a FIFO. */
  #ruleFor({ kind }: TarEntry): 'refuse' | 'drop' | 'create' | undefined {
    const { devices, fifos } = this.#ports.profile
    return kind === 'fifo' ? fifos : kind === 'character-device' || kind === 'block-device' ? devices : undefined
  }

  #special(parent: Place, name: ByteString, entry: TarEntry): void {
    const { special, disk, onDropped } = this.#ports
    const rule = this.#ruleFor(entry)
    if (rule === 'refuse') throw refused('unpack.special', entry, `a ${entry.kind}`)
    if (rule === 'drop')
      return onDropped({ entry: toDisplay(entry.path), what: entry.kind === 'fifo' ? 'fifo' : 'device' })
    if (entry.kind === 'character-device' && entry.deviceMajor === 0 && entry.deviceMinor === 0)
      throw refused('unpack.whiteout', entry, 'a device 0:0, which overlayfs would take for a whiteout')
    const path = join(parent.path, name)
    disk.adopt(special.make(entry), path, metadataOf(entry))
    parent.node.children.set(name, this.#specialNode)
    this.#keepAttributes(path, entry)
  }

  #keepAttributes(path: ByteString, entry: TarEntry): void {
    if (entry.xattrs.size === 0) return
    for (const name of entry.xattrs.keys())
      if (/^(trusted|user)\.overlay\./.test(name))
        throw refused('unpack.xattr', entry, `${toDisplay(name)} belongs to overlayfs`)
    const { profile, onDropped } = this.#ports
    if (profile.xattrs === 'refuse') throw refused('unpack.xattr', entry, 'has extended attributes')
    if (profile.xattrs === 'drop') return onDropped({ entry: toDisplay(entry.path), what: 'xattr' })
    this.#attributes.push({ path, attributes: entry.xattrs })
    for (const [name, value] of entry.xattrs) this.#attributeBytes += name.length + value.length
  }
}

export function metadataOf(entry: TarEntry): Metadata {
  for (const id of [entry.uid, entry.gid])
    if (id > 0xffff_fffe) throw refused('unpack.limit', entry, `owner ${id} is beyond what Linux knows`)
  return { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
}

function sameMetadata(a: Metadata, b: Metadata): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.mtime.seconds === b.mtime.seconds &&
    a.mtime.nanoseconds === b.mtime.nanoseconds
  )
}

function assertEmptyFile(entry: TarEntry): void {
  if (entry.kind !== 'file' || entry.size !== 0)
    throw refused(
      'unpack.whiteout',
      entry,
      `a whiteout that is a ${entry.kind} of ${entry.size} bytes, not an empty file`,
    )
}

function refused(code: ImageError['code'], entry: TarEntry, why: string): ImageError {
  return new ImageError(code, why, { entry: toDisplay(entry.path) })
}
