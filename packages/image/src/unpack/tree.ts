import { ImageError } from '../errors.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'
import type { Timestamp } from '../tar/pax.ts'

export interface Metadata {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: Timestamp
}

/** A directory that no entry describes, only a path runs through. */
export const IMPLIED: Metadata = { mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } }

export interface DirectoryNode {
  readonly kind: 'directory'
  readonly parent: DirectoryNode | undefined
  readonly children: Map<ByteString, TreeNode>
  metadata: Metadata
  /** The layer whose entry described it; -1 while it is only implied. */
  describedBy: number
  /** The last layer that put something below it or described it; what is above it was then touched by that layer too. */
  touchedBy: number
  /** Directories and links by folded name; made when the first is added. */
  folded?: Map<string, ByteString[]>
}

export interface LinkNode {
  readonly kind: 'symlink'
  readonly layer: number
  readonly target: ByteString
}

/** Everything else. One object a layer and kind is shared by all its files. */
export interface LeafNode {
  readonly kind: 'file' | 'special'
  readonly layer: number
}

export type TreeNode = DirectoryNode | LinkNode | LeafNode

/** A directory with its path from the root; '' is the root. No part of the path is a link. */
export interface Place {
  readonly node: DirectoryNode
  readonly path: ByteString
}

const MAX_LINKS = 40

/**
 * What the unpacker has put on disk, held in memory. The root is a fresh directory that only this process can enter,
 * so this tree, not the disk, answers what a path means: nothing is asked of the file system between check and use,
 * and every creation is exclusive, so where disk and tree ever disagree (a file system that folds case, another
 * process with our rights) the creation fails instead of following.
 */
export class Tree {
  readonly root: DirectoryNode = newDirectory(undefined)
  readonly #maxDepth: number
  /** The place of the last parent asked for: entries of one directory come together. */
  #last: { readonly key: ByteString; readonly place: Place } | undefined

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth
  }

  /**
   * Finds the directory that `parts` name, as a process inside the root would: absolute link targets start at the
   * root. Links may lead only to directories that exist.
   *
   * @param make - Called to make a directory that is missing; when absent, a missing one gives `undefined`.
   * @throws {ImageError} `unpack.escape` when a link climbs above the root, `unpack.parent` when a part is no directory.
   */
  resolve(
    parts: readonly ByteString[],
    entry: ByteString,
    make?: (parent: Place, name: ByteString) => DirectoryNode,
  ): Place | undefined {
    const key = parts.join('/')
    if (this.#last?.key === key) return this.#last.place
    const place = this.#walk(parts, entry, make)
    if (place !== undefined) this.#last = { key, place }
    return place
  }

  /** Marks a directory and all above it as used by a layer. */
  touch(node: DirectoryNode, layer: number): void {
    for (let at: DirectoryNode | undefined = node; at !== undefined && at.touchedBy !== layer; at = at.parent)
      at.touchedBy = layer
  }

  /** Call whenever a directory or link was taken away. */
  forget(): void {
    this.#last = undefined
  }

  #walk(
    parts: readonly ByteString[],
    entry: ByteString,
    make: ((parent: Place, name: ByteString) => DirectoryNode) | undefined,
  ): Place | undefined {
    // innermost last; `stack` is the real path, `todo` what is left to walk, last part first
    let stack: { name: ByteString; node: DirectoryNode }[] = []
    const todo = parts.map((name) => ({ name, fromLink: false })).toReversed()
    let links = 0
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { name, fromLink } = next
      if (name === '..') {
        if (stack.pop() === undefined) throw refused('unpack.escape', entry, 'a link on its path climbs above the root')
        continue
      }
      const here = stack.at(-1)?.node ?? this.root
      const found = here.children.get(name)
      if (found?.kind === 'symlink') {
        if (++links > MAX_LINKS) throw refused('unpack.parent', entry, `more than ${MAX_LINKS} links on its path`)
        if (found.target.startsWith('/')) stack = []
        const target = found.target.split('/').filter((part) => part !== '' && part !== '.')
        todo.push(...target.map((part) => ({ name: part, fromLink: true })).toReversed())
        continue
      }
      if (found !== undefined && found.kind !== 'directory')
        throw refused('unpack.parent', entry, `${toDisplay(pathOf(stack, name))} is not a directory`)
      if (found === undefined && fromLink) throw refused('unpack.parent', entry, 'a link on its path leads nowhere')
      if (stack.length >= this.#maxDepth)
        throw refused('unpack.limit', entry, `more than ${this.#maxDepth} directories deep`)
      const node = found ?? make?.({ node: here, path: pathOf(stack) }, name)
      if (node === undefined) return undefined
      stack.push({ name, node })
    }
    return { node: stack.at(-1)?.node ?? this.root, path: pathOf(stack) }
  }
}

/** An implied directory: nothing describes it yet. `Tree.touch` it, and with it all above, once it is in its place. */
export function newDirectory(parent: DirectoryNode | undefined): DirectoryNode {
  return { kind: 'directory', parent, children: new Map(), metadata: IMPLIED, describedBy: -1, touchedBy: -1 }
}

export function join(directory: ByteString, name: ByteString): ByteString {
  return directory === '' ? name : `${directory}/${name}`
}

function pathOf(stack: readonly { name: ByteString }[], name?: ByteString): ByteString {
  const names = stack.map((part) => part.name)
  if (name !== undefined) names.push(name)
  return names.join('/')
}

/**
 * Names that some file system takes for the same as another (H07): by case, by Unicode composition, by compatibility
 * (`ſ`, `ﬁ`, `ß`).
 */
export function foldName(name: ByteString): string {
  const text = Buffer.from(name, 'latin1').toString('utf8')
  return text.normalize('NFKD').toLowerCase().toUpperCase().normalize('NFKD')
}

/**
 * Refuses a directory beside a link whose name folds to the same, either way round: elsewhere the one would stand for
 * the other, and what was meant for the directory would be written through the link. Two files, or two directories,
 * of such names are common and harmless here.
 */
export function checkTwin(
  directory: DirectoryNode,
  name: ByteString,
  kind: 'directory' | 'symlink',
  entry: ByteString,
): void {
  directory.folded ??= new Map()
  const folded = foldName(name)
  const twins = (directory.folded.get(folded) ?? []).filter((twin) => twin !== name && directory.children.has(twin))
  for (const twin of twins) {
    const other = directory.children.get(twin)?.kind
    if ((other === 'directory' || other === 'symlink') && other !== kind)
      throw refused(
        'unpack.collision',
        entry,
        `differs from ${toDisplay(twin)} only by case or Unicode form; one is a link, one a directory`,
      )
  }
  directory.folded.set(folded, [...twins, name])
}

function refused(code: ImageError['code'], entry: ByteString, why: string): ImageError {
  return new ImageError(code, why, { entry: toDisplay(entry) })
}
