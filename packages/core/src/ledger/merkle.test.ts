import { nodeCrypto } from '@vouchsafe/core/node'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../base/encoding.ts'
import { EMPTY_FRONTIER, appendLeaf, frontierNodes, lastLeafOf, leafHash, nodeHash, rootOf } from './merkle.ts'
import { assembleProof, planConsistency, planInclusion, verifyConsistency, verifyInclusion } from './proof.ts'
import { MemoryLog } from '../testing/ledger-fixture.ts'

/** The eight leaves of the Certificate Transparency project’s own tests, and their roots by size. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

/** RFC 6962 section 2.1 word for word, as a second opinion: recursive, without frontier or stored nodes. */
function rootByDefinition(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return nodeCrypto.digest('sha256', new Uint8Array())
  if (leaves.length === 1) return leafHash(leaves[0]!, nodeCrypto)
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1)
  return nodeHash(rootByDefinition(leaves.slice(0, k)), rootByDefinition(leaves.slice(k)), nodeCrypto)
}

test('roots are those that Certificate Transparency publishes', () => {
  let frontier = EMPTY_FRONTIER
  const roots = [toHex(rootOf(frontier, nodeCrypto))]
  for (const leaf of LEAVES) {
    frontier = appendLeaf(frontier, leafHash(fromHex(leaf), nodeCrypto), nodeCrypto).frontier
    roots.push(toHex(rootOf(frontier, nodeCrypto)))
  }
  expect(roots).toEqual(ROOTS)
})

test('appending leaf by leaf gives the root that the definition gives, at every size', () => {
  const leaves = Array.from({ length: 70 }, (_, i) => Uint8Array.of(i))
  let frontier = EMPTY_FRONTIER
  leaves.forEach((leaf, i) => {
    frontier = appendLeaf(frontier, leafHash(leaf, nodeCrypto), nodeCrypto).frontier
    expect(rootOf(frontier, nodeCrypto)).toEqual(rootByDefinition(leaves.slice(0, i + 1)))
  })
})

test('a stored node belongs to the leaf that completed it, also past 2^32', () => {
  expect(lastLeafOf({ level: 0, index: 5 })).toBe(5)
  expect(lastLeafOf({ level: 3, index: 1 })).toBe(15)
  const size = 2 ** 40 + 2 ** 33 + 1
  expect(frontierNodes(size)).toEqual([
    { level: 40, index: 0 },
    { level: 33, index: 128 },
    { level: 0, index: size - 1 },
  ])
})

describe('proofs', () => {
  const log = MemoryLog.of(70)
  const leaf = (index: number) => leafHash(log.exported[index]!.entry, nodeCrypto)
  const inclusion = (index: number, size: number) => assembleProof(planInclusion(index, size), log.node, nodeCrypto)
  const consistency = (earlier: number, later: number) =>
    assembleProof(planConsistency(earlier, later), log.node, nodeCrypto)
  const broken = expect.objectContaining({ code: 'ledger.broken' })

  test('I05 every entry is proved to be in every later state', () => {
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        verifyInclusion({ index, ...log.state(size), leaf: leaf(index) }, inclusion(index, size), nodeCrypto)
      }
    }
  })

  test('I05 every state is proved to continue every earlier one', () => {
    for (let later = 0; later <= 70; later++) {
      for (let earlier = 0; earlier <= later; earlier++) {
        verifyConsistency(log.state(earlier), log.state(later), consistency(earlier, later), nodeCrypto)
      }
    }
  })

  test('I07 an inclusion proof holds for nothing else: another leaf, place, size, root, or a changed proof', () => {
    const size = 45
    for (const index of [0, 1, 21, 31, 32, 43, 44]) {
      const proof = inclusion(index, size)
      const { root } = log.state(size)
      const claims = [
        { index, size, root, leaf: leaf((index + 1) % size) },
        { index: (index + 1) % size, size, root, leaf: leaf(index) },
        { index, size: size + 20, root, leaf: leaf(index) },
        { index, size, root: log.roots[size + 1]!, leaf: leaf(index) },
      ]
      for (const claim of claims) expect(() => verifyInclusion(claim, proof, nodeCrypto)).toThrow(broken)
      const genuine = claims[0]!
      const proofs = [
        proof.slice(1),
        proof.slice(0, -1),
        [...proof, root],
        [root, ...proof],
        ...proof.map((hash, i) => proof.with(i, hash.with(7, hash[7]! ^ 1))),
        proof.toReversed(),
      ]
      for (const forged of proofs)
        expect(() => verifyInclusion({ ...genuine, leaf: leaf(index) }, forged, nodeCrypto)).toThrow(broken)
    }
  })

  test('I05 a consistency proof holds for no other pair of states', () => {
    for (const [earlier, later] of [
      [1, 2],
      [3, 7],
      [6, 7],
      [8, 9],
      [32, 64],
      [33, 70],
      [64, 70],
    ] as const) {
      const proof = consistency(earlier, later)
      const [a, b] = [log.state(earlier), log.state(later)]
      const other = log.roots[earlier + 1 === later ? earlier - 1 : earlier + 1]!
      expect(() => verifyConsistency({ ...a, root: other }, b, proof, nodeCrypto)).toThrow(broken)
      expect(() => verifyConsistency(a, { ...b, root: other }, proof, nodeCrypto)).toThrow(broken)
      const forged = [
        proof.slice(1),
        proof.slice(0, -1),
        [...proof, b.root],
        ...proof.map((h, i) => proof.with(i, h.with(0, h[0]! ^ 1))),
      ]
      for (const one of forged) expect(() => verifyConsistency(a, b, one, nodeCrypto)).toThrow(broken)
    }
    expect(() => verifyConsistency(log.state(5), { size: 5, root: log.roots[6]! }, [], nodeCrypto)).toThrow(broken)
    expect(() => verifyConsistency({ size: 0, root: log.roots[1]! }, log.state(5), [], nodeCrypto)).toThrow(broken)
    expect(() => verifyConsistency(log.state(5), log.state(5), [log.roots[5]!], nodeCrypto)).toThrow(broken)
    expect(() => verifyConsistency(log.state(0), log.state(5), [log.roots[5]!], nodeCrypto)).toThrow(broken)
  })

  test('I05 a log that shrank, or an entry that is not there, is out of range', () => {
    const range = expect.objectContaining({ code: 'ledger.range' })
    expect(() => verifyConsistency(log.state(9), log.state(8), [], nodeCrypto)).toThrow(range)
    expect(() => planConsistency(9, 8)).toThrow(range)
    for (const [index, size] of [
      [8, 8],
      [-1, 8],
      [0, 0],
      [1.5, 8],
      [NaN, 8],
      [0, Infinity],
    ] as const) {
      expect(() => planInclusion(index, size)).toThrow(range)
      const claim = { index, size, leaf: leaf(0), root: log.roots[8]! }
      expect(() => verifyInclusion(claim, [], nodeCrypto)).toThrow(range)
    }
  })

  test('a proof takes one hash a level and its plan names stored nodes only, at any size', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 45), fc.nat(2 ** 45), (a, b) => {
        const [index, size] = [Math.min(a, b), Math.max(a, b) + 1]
        const plan = planInclusion(index, size)
        expect(plan.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)))
        for (const node of plan.flat()) expect(lastLeafOf(node)).toBeLessThan(size)
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})
