import type { ByteString } from '../tar/format.ts'
import type { Disk } from './disk.ts'
import { type DirectoryNode, IMPLIED, join, type Place, type Tree } from './tree.ts'

interface Ports {
  readonly tree: Tree
  readonly disk: Disk
}

/**
 * Takes away what lower layers put at a path, and keeps what `layer` itself has put there: a whiteout hides only what
 * is below its layer, wherever in the layer it stands (H08).
 *
 * @source OCI image specification, layer: whiteouts "MUST only apply to resources in lower layers"
 */
export function hideLower(ports: Ports, parent: Place, name: ByteString, layer: number): void {
  const node = parent.node.children.get(name)
  if (node === undefined) return
  const path = join(parent.path, name)
  if (node.kind === 'directory' && node.touchedBy === layer) {
    forgetLowerDescription(node, layer)
    hideAllLower(ports, { node, path }, layer)
  } else if (node.kind === 'directory' || node.layer !== layer) {
    ports.disk.hideLower(path, node)
    detach(ports.tree, parent, name)
  }
}

/** An opaque whiteout: all that lower layers put into a directory. */
export function hideAllLower(ports: Ports, directory: Place, layer: number): void {
  for (const name of directory.node.children.keys()) hideLower(ports, directory, name, layer)
}

/** Takes a child out of the tree. */
export function detach(tree: Tree, parent: Place, name: ByteString): void {
  const node = parent.node.children.get(name)
  if (node?.kind === 'directory' || node?.kind === 'symlink') tree.forget()
  parent.node.children.delete(name)
}

function forgetLowerDescription(node: DirectoryNode, layer: number): void {
  if (node.describedBy === layer) return
  node.metadata = IMPLIED
  node.describedBy = -1
}
