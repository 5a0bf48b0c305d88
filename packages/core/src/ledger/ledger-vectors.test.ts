import { readFileSync } from 'node:fs'
import { nodeCrypto } from '@vouchsafe/core/node'
import { expect, test } from 'vitest'
import type { Digest } from '../base/digest.ts'
import { fromBase64, utf8 } from '../base/encoding.ts'
import { checkLedger } from './check-ledger.ts'
import { parseCheckpoint } from './checkpoint.ts'
import { parseLogKey } from './log-key.ts'
import { leafHash } from './merkle.ts'
import { verifyConsistency, verifyInclusion } from './proof.ts'
import { parseReceipt, verifyReceipt } from './receipt.ts'

interface Vector {
  readonly logKey: string
  readonly entries: readonly string[]
  readonly checkpoints: readonly string[]
  readonly receipt: { readonly expected: { kind: 'decision'; subject: string; digest: Digest }; readonly text: string }
  readonly proofs: {
    readonly inclusion: readonly { index: number; size: number; proof: readonly string[] }[]
    readonly consistency: readonly { earlier: number; later: number; proof: readonly string[] }[]
  }
  readonly cases: readonly { what: string; lines: readonly string[]; kept?: number; expect: object }[]
}

const vector = JSON.parse(
  readFileSync(new URL('../../../../vectors/ledger/log.json', import.meta.url), 'utf8'),
) as Vector
const logKey = parseLogKey(vector.logKey, nodeCrypto)
const state = (size: number) => parseCheckpoint(vector.checkpoints[size - 1]!)

test.each(vector.cases)('I05 vector: $what', async ({ lines, kept, expect: wanted }) => {
  const checkpoint = kept === undefined ? undefined : vector.checkpoints[kept - 1]
  expect(await checkLedger(lines, { logKey, kept: checkpoint, crypto: nodeCrypto })).toMatchObject(wanted)
})

test('I05 vector: every proof verifies against the signed roots', () => {
  for (const { index, size, proof } of vector.proofs.inclusion) {
    const leaf = leafHash(utf8(vector.entries[index]!), nodeCrypto)
    verifyInclusion(
      { index, size, leaf, root: state(size).root },
      proof.map((h) => fromBase64(h)),
      nodeCrypto,
    )
  }
  for (const { earlier, later, proof } of vector.proofs.consistency)
    verifyConsistency(
      state(earlier),
      state(later),
      proof.map((h) => fromBase64(h)),
      nodeCrypto,
    )
  expect(vector.proofs.inclusion).toHaveLength(66)
  expect(vector.proofs.consistency).toHaveLength(55)
})

test('I07 vector: the receipt proves its decision', async () => {
  const { expected, text } = vector.receipt
  await verifyReceipt(parseReceipt(text), expected, logKey, nodeCrypto)
})
