import { VouchsafeError } from '../base/errors.ts'
import type { Hasher, NodeRef } from './merkle.ts'
import { foldRight, nodeHash, perfectNodes } from './merkle.ts'

/** Hashes from the leaf upwards, as RFC 6962 orders them. */
export type Proof = readonly Uint8Array[]

/**
 * What a proof is made of: for each hash of it, the stored nodes that fold to that hash. A store fetches all of them
 * in one query, then `assembleProof` folds; so proving needs neither recursion into storage nor an asynchronous core.
 */
export type ProofPlan = readonly (readonly NodeRef[])[]

/** @throws {VouchsafeError} `ledger.range` unless 0 ≤ index < size. */
export function planInclusion(index: number, size: number): ProofPlan {
  if (!isCount(index) || !isCount(size) || index >= size)
    throw new VouchsafeError('ledger.range', `entry ${index} is not in a log of ${size} entries`)
  const ranges: (readonly NodeRef[])[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + splitOf(to - from)
    if (index < middle) {
      ranges.push(perfectNodes(middle, to))
      to = middle
    } else {
      ranges.push(perfectNodes(from, middle))
      from = middle
    }
  }
  return ranges.reverse()
}

/** @throws {VouchsafeError} `ledger.range` unless 0 ≤ earlier ≤ later. */
export function planConsistency(earlier: number, later: number): ProofPlan {
  if (!isCount(earlier) || !isCount(later) || earlier > later)
    throw new VouchsafeError('ledger.range', `a log of ${later} entries has no state of ${earlier} entries`)
  if (earlier === 0) return []
  const ranges: (readonly NodeRef[])[] = []
  let from = 0
  let to = later
  // while the earlier tree is a whole left part of the later one, its root is known to the verifier and left out
  while (earlier !== to) {
    const middle = from + splitOf(to - from)
    if (earlier <= middle) {
      ranges.push(perfectNodes(middle, to))
      to = middle
    } else {
      ranges.push(perfectNodes(from, middle))
      from = middle
    }
  }
  if (from > 0) ranges.push(perfectNodes(from, to))
  return ranges.reverse()
}

/** Folds stored nodes to a proof. @param lookup - Gives each node that the plan names; a store's fault otherwise. */
export function assembleProof(plan: ProofPlan, lookup: (node: NodeRef) => Uint8Array, crypto: Hasher): Proof {
  return plan.map((nodes) => foldRight(nodes.map(lookup), crypto))
}

/**
 * Proves that `leaf` is entry `index` of the log of `size` entries whose root is `root`.
 *
 * @throws {VouchsafeError} `ledger.broken` when the proof does not lead there; `ledger.range` when index ≥ size.
 * @source RFC 9162 section 2.1.3.2
 */
export function verifyInclusion(
  { index, size, leaf, root }: { index: number; size: number; leaf: Uint8Array; root: Uint8Array },
  proof: Proof,
  crypto: Hasher,
): void {
  if (!isCount(index) || !isCount(size) || index >= size)
    throw new VouchsafeError('ledger.range', `entry ${index} is not in a log of ${size} entries`)
  let fn = index
  let sn = size - 1
  let hash = leaf
  for (const sibling of proof) {
    if (sn === 0) throw new VouchsafeError('ledger.broken', `inclusion of entry ${index}: the proof is too long`)
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash, crypto)
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2
        sn = half(sn)
      }
    } else {
      hash = nodeHash(hash, sibling, crypto)
    }
    fn = half(fn)
    sn = half(sn)
  }
  if (sn !== 0) throw new VouchsafeError('ledger.broken', `inclusion of entry ${index}: the proof is too short`)
  if (!sameBytes(hash, root))
    throw new VouchsafeError('ledger.broken', `inclusion of entry ${index}: the proof leads to another root`)
}

/**
 * Proves that the log of `later` is the log of `earlier` with entries added at its end.
 *
 * @throws {VouchsafeError} `ledger.broken` when it is not; `ledger.range` when the earlier one is larger.
 * @source RFC 9162 section 2.1.4.2
 */
export function verifyConsistency(
  earlier: { readonly size: number; readonly root: Uint8Array },
  later: { readonly size: number; readonly root: Uint8Array },
  proof: Proof,
  crypto: Hasher,
): void {
  const what = `consistency of ${earlier.size} with ${later.size} entries`
  if (!isCount(earlier.size) || !isCount(later.size) || earlier.size > later.size)
    throw new VouchsafeError('ledger.range', `${what}: the log shrank`)
  if (earlier.size === 0 || earlier.size === later.size) {
    if (proof.length > 0) throw new VouchsafeError('ledger.broken', `${what}: the proof is too long`)
    // every log continues the empty one, but the empty one has one root only
    const expected = earlier.size === 0 ? crypto.digest('sha256', new Uint8Array()) : later.root
    if (!sameBytes(earlier.root, expected)) throw new VouchsafeError('ledger.broken', `${what}: the roots differ`)
    return
  }
  let fn = earlier.size - 1
  let sn = later.size - 1
  while (fn % 2 === 1) {
    fn = half(fn)
    sn = half(sn)
  }
  // a whole left part is not repeated in the proof: its root is the earlier root itself
  const [first, ...rest] = fn === 0 ? [earlier.root, ...proof] : proof
  if (first === undefined) throw new VouchsafeError('ledger.broken', `${what}: the proof is too short`)
  let old = first
  let now = first
  for (const sibling of rest) {
    if (sn === 0) throw new VouchsafeError('ledger.broken', `${what}: the proof is too long`)
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(sibling, old, crypto)
      now = nodeHash(sibling, now, crypto)
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2
        sn = half(sn)
      }
    } else {
      now = nodeHash(now, sibling, crypto)
    }
    fn = half(fn)
    sn = half(sn)
  }
  if (sn !== 0) throw new VouchsafeError('ledger.broken', `${what}: the proof is too short`)
  if (!sameBytes(old, earlier.root) || !sameBytes(now, later.root))
    throw new VouchsafeError('ledger.broken', `${what}: the roots do not belong to one log`)
}

/** The largest power of two below n: where RFC 6962 splits a tree of n > 1 leaves. */
function splitOf(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

function half(n: number): number {
  return Math.floor(n / 2)
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}

/** Hashes are public, so this need not be constant-time. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
