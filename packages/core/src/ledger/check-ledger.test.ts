import { nodeCrypto } from '@vouchsafe/core/node'
import { describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../base/encoding.ts'
import { checkLedger, formatExportedEntry } from './check-ledger.ts'
import { parseEntry } from './entry.ts'
import { MemoryLog, ORIGIN, logKeyPair } from '../testing/ledger-fixture.ts'

const log = MemoryLog.of(21)
const lines = log.lines()
const check = (changed: readonly string[], kept?: string) =>
  checkLedger(changed, { logKey: log.key, kept, crypto: nodeCrypto })
const editEntry = (line: string, edit: (entry: string) => string): string => {
  const { entry, checkpoint } = JSON.parse(line) as { entry: string; checkpoint: string }
  return JSON.stringify({ entry: edit(entry), checkpoint })
}
const every = lines.map((_, i) => i)

describe('checking an exported log', () => {
  test('I05 a whole log is consistent; without a kept checkpoint a cut end is not excluded', async () => {
    const result = await check(lines)
    expect(result).toMatchObject({ ok: true, entries: 21, continues: null, head: log.state(21) })
    expect(result.statement).toContain('truncation not excluded')
  })

  test('I05 with a kept checkpoint it is said which state the log continues', async () => {
    for (const size of [1, 8, 20, 21]) {
      const result = await check(lines, log.exported[size - 1]!.checkpoint)
      expect(result).toMatchObject({ ok: true, continues: size })
      expect(result.statement).not.toContain('truncation')
    }
  })

  test.each(every)('I05 an edit of entry %i is named', async (at) => {
    const edits: ((entry: string) => string)[] = [
      (entry) => entry.replace('decision', 'decisiom').replace('genesis', 'genesjs'),
      (entry) => entry.replace('"time":"2026', '"time":"2027'),
      (entry) => entry.replace('"tenant":"clinic"', '"tenant":"bank"'),
      (entry) => entry.replace(/"seq":\d+/, '"seq":99'),
      (entry) => `${entry} `,
      (entry) => entry.replace('"facts":{', '"facts":{"more":"x",'),
    ]
    for (const edit of edits) {
      const changed = lines.with(at, editEntry(lines[at]!, edit))
      expect(changed).not.toEqual(lines)
      const result = await check(changed)
      expect(result).toMatchObject({ ok: false, at, entries: at })
      expect(['altered', 'malformed', 'genesis']).toContain(result.ok ? '' : result.problem)
    }
  })

  test.each(every.slice(0, -1))('I05 entry %i dropped is named', async (at) => {
    expect(await check(lines.toSpliced(at, 1))).toMatchObject({ ok: false, at, problem: 'dropped' })
  })

  test.each(every.slice(0, -1))('I05 entry %i swapped with the next is named', async (at) => {
    const swapped = lines.with(at, lines[at + 1]!).with(at + 1, lines[at]!)
    expect(await check(swapped)).toMatchObject({ ok: false, at, problem: 'reordered' })
  })

  test.each(every)('I05 entry %i written twice is named', async (at) => {
    expect(await check(lines.toSpliced(at, 0, lines[at]!))).toMatchObject({
      ok: false,
      at: at + 1,
      problem: 'repeated',
    })
  })

  test.each(every)('I05 entry %i replaced by another log’s is named', async (at) => {
    const other = MemoryLog.of(21).lines()[at]!
    expect(await check(lines.with(at, other))).toMatchObject({ ok: false, at, problem: 'checkpoint' })
  })

  test.each(every)('I05 entry %i with the checkpoint of its neighbour is named', async (at) => {
    const { entry } = log.exported[at]!
    const { checkpoint } = log.exported[(at + 1) % 21]!
    expect(await check(lines.with(at, formatExportedEntry({ entry, checkpoint })))).toMatchObject({ ok: false, at })
  })

  test('I05 an end that was cut off is seen by whoever kept a later checkpoint, and by nobody else', async () => {
    const cut = lines.slice(0, 15)
    expect(await check(cut)).toMatchObject({ ok: true, entries: 15 })
    const kept = log.exported[17]!.checkpoint
    expect(await check(cut, kept)).toMatchObject({ ok: false, at: 15, problem: 'truncated' })
  })

  test('I05 I06 a log written anew with the genuine key is seen by whoever kept a checkpoint of the first', async () => {
    const second = new MemoryLog({ key: log.key, signer: log.signer })
    for (let seq = 0; seq < 21; seq++) second.append(seq === 9 ? { facts: { outcome: 'release' } } : {})
    expect(await check(second.lines())).toMatchObject({ ok: true })
    expect(await check(second.lines(), log.exported[8]!.checkpoint)).toMatchObject({ ok: true })
    for (const size of [10, 15, 21])
      expect(await check(second.lines(), log.exported[size - 1]!.checkpoint)).toMatchObject({
        ok: false,
        problem: 'rewritten',
      })
  })

  test('nothing at all is not a log', async () => {
    expect(await check([])).toMatchObject({ ok: false, at: 0, problem: 'dropped' })
  })

  test('a log that its key signed but that does not begin with its genesis, or goes back in time, is refused', async () => {
    const build = (...entries: Parameters<MemoryLog['append']>[0][]): readonly string[] => {
      const made = new MemoryLog({ key: log.key, signer: log.signer })
      for (const entry of entries) made.append(entry)
      return made.lines()
    }
    expect(await check(build({ kind: 'decision' }))).toMatchObject({ ok: false, at: 0, problem: 'genesis' })
    const elsewhere = { profile: 'simulated', broker: 'b', origin: 'other' }
    expect(await check(build({ facts: elsewhere }))).toMatchObject({ ok: false, at: 0, problem: 'genesis' })
    expect(await check(build({}, { time: '2025-01-01T00:00:00.000Z' }))).toMatchObject({
      ok: false,
      at: 1,
      problem: 'order',
    })
    expect(await check(build({}, { tenant: 'bank' }))).toMatchObject({ ok: false, at: 1, problem: 'altered' })
    expect(await check(build({}, { seq: 7 }))).toMatchObject({ ok: false, at: 1, problem: 'altered' })
  })

  test('lines may come one by one, as from a stream', async () => {
    async function* stream(): AsyncGenerator<string> {
      yield* lines
    }
    expect(await checkLedger(stream(), { logKey: log.key, crypto: nodeCrypto })).toMatchObject({
      ok: true,
      entries: 21,
    })
  })

  test.each([
    ['not JSON', 'entry'],
    ['an unknown member', JSON.stringify({ ...JSON.parse(lines[4]!), extra: 1 })],
    ['a member twice', lines[4]!.replace('{"entry"', '{"checkpoint":"x","entry"')],
    ['an entry with a member twice', editEntry(lines[4]!, (e) => e.replace('"seq":4', '"seq":4,"seq":4'))],
    ['an entry of an unknown kind', editEntry(lines[4]!, (e) => e.replace('"decision"', '"unheard"'))],
    ['nothing', ''],
  ])('K12 a line that is %s is named', async (_what, line) => {
    expect(await check(lines.with(4, line))).toMatchObject({ ok: false, at: 4, problem: 'malformed' })
  })

  test('a kept checkpoint that is not this log’s is the caller’s mistake, not the log’s', async () => {
    const other = logKeyPair()
    const refused = expect.objectContaining({ code: 'ledger.checkpoint' })
    await expect(check(lines, MemoryLog.of(3).exported[2]!.checkpoint)).rejects.toEqual(refused)
    await expect(
      checkLedger(lines, { logKey: other.key, kept: log.exported[3]!.checkpoint, crypto: nodeCrypto }),
    ).rejects.toEqual(refused)
    expect(await checkLedger(lines, { logKey: other.key, crypto: nodeCrypto })).toMatchObject({
      ok: false,
      at: 0,
      problem: 'checkpoint',
    })
  })

  test('I09 line breaks and control characters in facts stay inside their line', async () => {
    const made = new MemoryLog({ key: log.key, signer: log.signer })
    made.append()
    made.append({ facts: { note: 'a\r\n{"entry":"forged"}\u001b[31m\u202e' } })
    const exported = made.lines()
    expect(exported.join('\n').split('\n')).toHaveLength(2)
    expect(await check(exported)).toMatchObject({ ok: true, entries: 2 })
  })

  test('an entry’s bytes survive the export exactly', () => {
    const { entry } = log.exported[5]!
    const { entry: text } = JSON.parse(lines[5]!) as { entry: string }
    expect(utf8(text)).toEqual(entry)
    expect(parseEntry(entry)).toMatchObject({ seq: 5, tenant: 'clinic', kind: 'decision' })
    expect(fromUtf8(log.exported[0]!.entry)).toContain(ORIGIN)
  })
})
