import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { readEnvelopes, takingTurns } from './record-files.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vs-record-files-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const file = path.join(directory, 'r.jsonl')

const envelope = (payload: string) => ({ payloadType: 'x', payload, signatures: [{ keyid: 'k', sig: 'AA==' }] })
const payloads = (...of: Parameters<typeof readEnvelopes>) => [...readEnvelopes(...of)].map((e) => e.payload)

test('whatever the size of a piece, each line is read once, in order', () => {
  const line = fc.oneof(fc.base64String({ minLength: 4, maxLength: 400 }), fc.constant(''))
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.integer({ min: 1, max: 700 }),
      fc.boolean(),
      (lines, size, ends) => {
        const texts = lines.map((l) => (l === '' ? '' : JSON.stringify(envelope(l))))
        writeFileSync(file, texts.join('\n') + (ends ? '\n' : ''))
        expect(payloads([file], undefined, size)).toEqual(lines.filter((l) => l !== ''))
      },
    ),
  )
})

test('of two who take turns each reads what the other does not', () => {
  const names = Array.from({ length: 40 }, (_, i) => Buffer.from(`record ${i}`).toString('base64'))
  writeFileSync(file, names.map((n) => JSON.stringify(envelope(n))).join('\n'))
  const taken = new Int32Array(new SharedArrayBuffer(4))
  const two = [0, 1].map(() => readEnvelopes([file], takingTurns(taken), 300))
  const read: string[] = []
  for (let open = two; open.length > 0;)
    open = open.filter((one) => {
      const { done, value } = one.next()
      if (done !== true) read.push(value.payload)
      return done !== true
    })
  expect(read.sort()).toEqual([...names].sort())
})

test('what is wrong with a line is told with its number', () => {
  const good = JSON.stringify(envelope('AAAA'))
  writeFileSync(file, `${good}\n\n${good}\n{"payload":1}\n`)
  expect(() => payloads([file], undefined, 10)).toThrow(
    expect.objectContaining({ code: 'input.malformed', message: expect.stringMatching(/r\.jsonl:4: /) }),
  )
})

test('a line without end is refused before it is read', () => {
  writeFileSync(file, 'a'.repeat(9 * 1024 * 1024))
  expect(() => payloads([file])).toThrow(expect.objectContaining({ code: 'input.too-large' }))
})
