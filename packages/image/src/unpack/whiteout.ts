import type { ByteString } from '../tar/format.ts'
import type { Disk } from './disk.ts'
import { type DirectoryNode, IMPLIED, join, type Place, type Tree } from './tree.ts'

interface Ports {
  readonly tree: Tree
  readonly disk: Disk
}

/** What a whiteout does. The tree's parent is resolved already, and has no link in its path. */
export interface WhiteoutSink {
  /** @param parent - `undefined` where no lower layer has the directory. */
  hide(parent: Place | undefined, parents: readonly ByteString[], name: ByteString, entry: ByteString): void
  hideAll(directory: Place | undefined, parents: readonly ByteString[], entry: ByteString): void
  /** Refuses attributes and devices that would be read as marks of overlayfs. */
  readonly marks: boolean
}

/** Whiteouts that delete: for a root file system of its own. */
export function deletingWhiteouts(ports: Ports, layer: () => number): WhiteoutSink {
  return {
    marks: false,
    hide(parent, _parents, name) {
      if (parent !== undefined) removeLower(ports, parent, name, layer())
    },
    hideAll(directory) {
      if (directory === undefined) return
      for (const name of directory.node.children.keys()) removeLower(ports, directory, name, layer())
    },
  }
}

/** Takes a child away with all below it, from disk and tree. Walks the tree, never the disk: no link is followed. */
export function removeNode(ports: Ports, parent: Place, name: ByteString): void {
  const node = parent.node.children.get(name)
  if (node === undefined) return
  const path = join(parent.path, name)
  if (node.kind === 'directory') {
    for (const child of node.children.keys()) removeNode(ports, { node, path }, child)
    ports.disk.removeDirectory(path)
  } else ports.disk.unlink(path)
  if (node.kind === 'directory' || node.kind === 'symlink') ports.tree.forget()
  parent.node.children.delete(name)
}

/**
 * Takes away what lower layers put at a path, and keeps what `layer` itself has put there: a whiteout hides only what
 * is below its layer, wherever in the layer it stands (H08).
 *
 * @source OCI image specification, layer: whiteouts "MUST only apply to resources in lower layers"
 */
export function removeLower(ports: Ports, parent: Place, name: ByteString, layer: number): void {
  const node = parent.node.children.get(name)
  if (node === undefined) return
  if (node.kind !== 'directory') {
    if (node.layer !== layer) removeNode(ports, parent, name)
    return
  }
  if (node.touchedBy !== layer) return removeNode(ports, parent, name)
  forgetLowerDescription(node, layer)
  const place = { node, path: join(parent.path, name) }
  for (const child of node.children.keys()) removeLower(ports, place, child, layer)
}

function forgetLowerDescription(node: DirectoryNode, layer: number): void {
  if (node.describedBy === layer) return
  node.metadata = IMPLIED
  node.describedBy = -1
}
