import { createPrivateKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { nodeCrypto } from '@vouchsafe/core/node'
import { fromUtf8, toBase64 } from '../base/encoding.ts'
import { formatLogKey } from '../ledger/log-key.ts'
import { assembleProof, planConsistency, planInclusion } from '../ledger/proof.ts'
import { formatReceipt } from '../ledger/receipt.ts'
import { DIGEST, MemoryLog, logKeyPair } from './ledger-fixture.ts'

/*
 * Writes vectors/ledger/log.json:  node packages/core/src/testing/make-ledger-vectors.ts vectors/ledger/log.json
 * The key is fixed and public, and Ed25519 is deterministic: running it again gives the same file.
 */
const SIZE = 11
const seed = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]),
  format: 'der',
  type: 'pkcs8',
})
const log = new MemoryLog(logKeyPair(undefined, seed))
for (let seq = 0; seq < SIZE; seq++) log.append()
const lines = log.lines()
const edited = lines.map((line) => line.replace(String.raw`\"outcome\":\"deny\"`, String.raw`\"outcome\":\"release\"`))

const bad = (at: number, problem: string) => ({ ok: false, at, problem })
const cases = [
  { what: 'the whole log', lines, expect: { ok: true, entries: SIZE } },
  {
    what: 'the whole log, against a kept checkpoint',
    lines,
    kept: 7,
    expect: { ok: true, entries: SIZE, continues: 7 },
  },
  { what: 'an entry whose outcome was edited', lines: lines.with(5, edited[5] ?? ''), expect: bad(5, 'altered') },
  { what: 'an entry dropped', lines: lines.toSpliced(3, 1), expect: bad(3, 'dropped') },
  {
    what: 'two entries swapped',
    lines: lines.with(6, lines[7] ?? '').with(7, lines[6] ?? ''),
    expect: bad(6, 'reordered'),
  },
  { what: 'an entry written twice', lines: lines.toSpliced(2, 0, lines[2] ?? ''), expect: bad(3, 'repeated') },
  {
    what: 'the end cut off, nobody kept a checkpoint',
    lines: lines.slice(0, 8),
    expect: { ok: true, entries: 8, continues: null },
  },
  {
    what: 'the end cut off, somebody kept a later checkpoint',
    lines: lines.slice(0, 8),
    kept: 10,
    expect: bad(8, 'truncated'),
  },
  { what: 'a line that is not JSON', lines: lines.with(9, 'entry'), expect: bad(9, 'malformed') },
]

const proofs = { inclusion: [] as unknown[], consistency: [] as unknown[] }
for (let size = 1; size <= SIZE; size++) {
  for (let index = 0; index < size; index++)
    proofs.inclusion.push({
      index,
      size,
      proof: assembleProof(planInclusion(index, size), log.node, nodeCrypto).map(toBase64),
    })
  for (let earlier = 1; earlier < size; earlier++)
    proofs.consistency.push({
      earlier,
      later: size,
      proof: assembleProof(planConsistency(earlier, size), log.node, nodeCrypto).map(toBase64),
    })
}

const vector = {
  made: 'By make-ledger-vectors.ts with a fixed Ed25519 key (32 bytes of 07). Checkpoints and proofs were verified by golang.org/x/mod/sumdb/note and github.com/transparency-dev/merkle.',
  expected:
    'Each case: what a checker must say of these lines. Every proof verifies against the roots in the checkpoints. The receipt is for decision-4.',
  logKey: formatLogKey(log.key),
  entries: log.exported.map(({ entry }) => fromUtf8(entry)),
  checkpoints: log.exported.map(({ checkpoint }) => checkpoint),
  receipt: {
    expected: { kind: 'decision', subject: 'decision-4', digest: DIGEST },
    text: formatReceipt({
      entry: log.exported[4]?.entry ?? new Uint8Array(),
      proof: assembleProof(planInclusion(4, SIZE), log.node, nodeCrypto),
      checkpoint: log.exported[SIZE - 1]?.checkpoint ?? '',
    }),
  },
  proofs,
  cases,
}
writeFileSync(process.argv[2] ?? 'log.json', `${JSON.stringify(vector, null, 1)}\n`)
