import { nodeCrypto } from '@vouchsafe/core/node'
import { describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../base/encoding.ts'
import type { Digest } from '../base/digest.ts'
import { encodeEntry } from './entry.ts'
import { assembleProof, planInclusion } from './proof.ts'
import { type Receipt, formatReceipt, parseReceipt, verifyReceipt } from './receipt.ts'
import { DIGEST, MemoryLog, logKeyPair } from '../testing/ledger-fixture.ts'

const log = MemoryLog.of(13)
const receiptFor = (seq: number, size = 13): Receipt => ({
  entry: log.exported[seq]!.entry,
  proof: assembleProof(planInclusion(seq, size), log.node, nodeCrypto),
  checkpoint: log.exported[size - 1]!.checkpoint,
})
const expected = (seq: number) => ({ kind: 'decision', subject: `decision-${seq}`, digest: DIGEST }) as const
const verify = (receipt: Receipt, wanted: Parameters<typeof verifyReceipt>[1]) =>
  verifyReceipt(receipt, wanted, log.key, nodeCrypto)
const refused = (code: string, why = '') => expect.objectContaining({ code, message: expect.stringContaining(why) })

describe('a receipt', () => {
  test('proves its entry, in this state and in later ones', async () => {
    for (const size of [8, 9, 13]) {
      const { entry, checkpoint } = await verify(receiptFor(7, size), expected(7))
      expect(entry).toMatchObject({ seq: 7, subject: 'decision-7' })
      expect(checkpoint.size).toBe(size)
    }
  })

  test('survives its text form', async () => {
    const text = formatReceipt(receiptFor(4))
    expect(text).not.toContain('\n')
    await verify(parseReceipt(text), expected(4))
    expect(formatReceipt(parseReceipt(text))).toBe(text)
  })

  test('I07 a genuine receipt for something else proves nothing about this decision', async () => {
    await expect(verify(receiptFor(4), expected(5))).rejects.toEqual(refused('ledger.receipt', 'subject'))
    const otherDigest = `sha256:${'ab'.repeat(31)}ac` as Digest
    await expect(verify(receiptFor(4), { ...expected(4), digest: otherDigest })).rejects.toEqual(
      refused('ledger.receipt', 'digest'),
    )
    await expect(verify(receiptFor(4), { ...expected(4), kind: 'lease.renewed' })).rejects.toEqual(
      refused('ledger.receipt', 'kind'),
    )
  })

  test('I07 a crafted entry is not in the log, whatever proof comes with it', async () => {
    const crafted = encodeEntry({
      seq: 4,
      tenant: 'clinic',
      time: '2026-01-01T00:00:04.000Z',
      ...expected(4),
      facts: { outcome: 'release' },
    })
    for (const receipt of [receiptFor(4), receiptFor(3), receiptFor(12)])
      await expect(verify({ ...receipt, entry: crafted }, expected(4))).rejects.toEqual(refused('ledger.broken'))
    const beyond = encodeEntry({
      seq: 13,
      tenant: 'clinic',
      time: '2026-01-01T00:00:04.000Z',
      ...expected(13),
      facts: {},
    })
    await expect(verify({ ...receiptFor(4), entry: beyond }, expected(13))).rejects.toEqual(refused('ledger.range'))
  })

  test('I07 an entry cannot pose as another place, nor a node as a leaf', async () => {
    const moved = utf8(fromUtf8(log.exported[4]!.entry).replace('"seq":4', '"seq":5'))
    await expect(verify({ ...receiptFor(5), entry: moved }, expected(4))).rejects.toEqual(refused('ledger.broken'))
    const inner = { ...receiptFor(4), proof: receiptFor(4).proof.slice(1) }
    await expect(verify(inner, expected(4))).rejects.toEqual(refused('ledger.broken'))
  })

  test('I06 under another log’s key it is refused', async () => {
    await expect(verifyReceipt(receiptFor(4), expected(4), logKeyPair().key, nodeCrypto)).rejects.toEqual(
      refused('ledger.checkpoint'),
    )
    const forged = { ...receiptFor(4), checkpoint: MemoryLog.of(13).exported[12]!.checkpoint }
    await expect(verify(forged, expected(4))).rejects.toEqual(refused('ledger.checkpoint'))
  })

  test.each([
    ['an unknown member', (r: string) => r.replace('{', '{"more":1,'), 'input.unknown-member'],
    ['a member twice', (r: string) => r.replace('{', '{"receipt":"v1",'), 'input.malformed'],
    ['another version', (r: string) => r.replace('"v1"', '"v2"'), 'input.malformed'],
    ['a hash of another length', (r: string) => r.replace(/"proof":\["/, '"proof":["AA'), 'input.malformed'],
    ['a cut end', (r: string) => r.slice(0, -1), 'input.malformed'],
    ['too much', (r: string) => r + ' '.repeat(70_000), 'input.too-large'],
  ])('K12 with %s is malformed', (_what, change, code) => {
    const text = formatReceipt(receiptFor(4))
    expect(() => parseReceipt(change(text))).toThrow(refused(code))
  })
})
