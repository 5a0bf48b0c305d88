import type { CryptoPort } from '../base/crypto.ts'
import { VouchsafeError } from '../base/errors.ts'

/** All that hashing a tree needs of the crypto port. */
export type Hasher = Pick<CryptoPort, 'digest'>

const LEAF = Uint8Array.of(0x00)
const NODE = Uint8Array.of(0x01)

/** SHA-256(0x00 ‖ entry): an entry's leaf. @source RFC 6962 section 2.1 */
export function leafHash(entry: Uint8Array, crypto: Hasher): Uint8Array {
  return crypto.digest('sha256', LEAF, entry)
}

/** SHA-256(0x01 ‖ left ‖ right). The prefixes keep a leaf from ever posing as a node. @source RFC 6962 section 2.1 */
export function nodeHash(left: Uint8Array, right: Uint8Array, crypto: Hasher): Uint8Array {
  return crypto.digest('sha256', NODE, left, right)
}

/**
 * All that appending needs of a log: the roots of the perfect subtrees that its leaves form, largest first, one per
 * set bit of `size`. A log of a million entries is twenty hashes here.
 */
export interface Frontier {
  readonly size: number
  readonly roots: readonly Uint8Array[]
}

export const EMPTY_FRONTIER: Frontier = Object.freeze({ size: 0, roots: Object.freeze([]) })

/** What one more leaf changed. */
export interface Appended {
  readonly frontier: Frontier
  /**
   * Every perfect subtree that ends in this leaf, by level: the leaf hash itself first. These are exactly the nodes
   * to store, and none is ever rewritten: the node at (level, index) belongs to leaf `lastLeafOf` of it.
   */
  readonly completed: readonly Uint8Array[]
}

/** Appends one leaf hash. The given frontier is left as it was. */
export function appendLeaf(frontier: Frontier, leaf: Uint8Array, crypto: Hasher): Appended {
  const roots = [...frontier.roots]
  const completed = [leaf]
  let hash = leaf
  for (let rest = frontier.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = roots.pop()
    if (left === undefined) throw new VouchsafeError('internal', `frontier of size ${frontier.size} lacks a root`)
    hash = nodeHash(left, hash, crypto)
    completed.push(hash)
  }
  roots.push(hash)
  return { frontier: { size: frontier.size + 1, roots }, completed }
}

/** The tree's root; of an empty tree the hash of nothing. @source RFC 6962 section 2.1 */
export function rootOf(frontier: Frontier, crypto: Hasher): Uint8Array {
  return frontier.roots.length === 0 ? crypto.digest('sha256', new Uint8Array()) : foldRight(frontier.roots, crypto)
}

/** Joins adjacent perfect subtrees, largest first, to the root of the range they cover. Never called with none. */
export function foldRight(roots: readonly Uint8Array[], crypto: Hasher): Uint8Array {
  return roots.reduceRight((right, left) => nodeHash(left, right, crypto))
}

/** A perfect subtree: the leaves from `index · 2^level` up to `(index + 1) · 2^level`. */
export interface NodeRef {
  readonly level: number
  readonly index: number
}

/** The leaf whose append completes a node, and under which it is stored at place `level`. */
export function lastLeafOf({ level, index }: NodeRef): number {
  return (index + 1) * 2 ** level - 1
}

/** The perfect subtrees that cover leaves `from` up to `to`, largest first; `from` is a multiple of the first one's size. */
export function perfectNodes(from: number, to: number): readonly NodeRef[] {
  const nodes: NodeRef[] = []
  for (let at = from; at < to;) {
    // plain arithmetic: sizes may pass 2^32, where the bit operators stop
    let level = 0
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= to) level++
    nodes.push({ level, index: at / 2 ** level })
    at += 2 ** level
  }
  return nodes
}

/** Where the frontier of a log of `size` lies in storage. */
export function frontierNodes(size: number): readonly NodeRef[] {
  return perfectNodes(0, size)
}
