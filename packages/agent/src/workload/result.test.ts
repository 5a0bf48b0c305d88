import { utf8 } from '@vouchsafe/core'
import { MAX_RESULT_BYTES } from '@vouchsafe/client'
import { inspect } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { MemoryFile } from './handover.ts'
import { ownProcessName } from './own-process.ts'
import { readResult } from './result.ts'

let file: MemoryFile | undefined
afterEach(() => file?.close())

function written(text: string): MemoryFile {
  file = new MemoryFile(ownProcessName(), { uid: 0, gid: 0 })
  file.write(utf8(text))
  return file
}

test.each(['{"count":10}', ' {"mean": 4.5, "count": 1000000}\n'])('takes %s, byte for byte', (text) => {
  expect(readResult(written(text), 10)).toEqual(utf8(text))
})

test.each([
  ['nothing', '', 'result.missing'],
  ['a count below the agreed minimum', '{"count":9,"mean":1}', 'result.too-few'],
  ['a count of zero', '{"count":0}', 'result.too-few'],
  ['no count', '{"mean":4.5}', 'result.malformed'],
  ['a count that is text', '{"count":"1000"}', 'result.malformed'],
  ['a count that is no whole number', '{"count":10.5}', 'result.malformed'],
  ['a negative count', '{"count":-10}', 'result.malformed'],
  ['a count beyond what JSON can say', '{"count":9007199254740993}', 'result.malformed'],
  ['two counts, of which readers might take either', '{"count":5,"count":5000}', 'result.malformed'],
  ['a list', '[10]', 'result.malformed'],
  ['text', 'patient 17 has diabetes', 'result.malformed'],
  ['more than a result may hold', `{"count":10,"x":"${'x'.repeat(MAX_RESULT_BYTES)}"}`, 'result.too-large'],
])('G18 withholds %s', (_what, text, code) => {
  expect(() => readResult(written(text), 10)).toThrow(expect.objectContaining({ code }))
})

test.each(['{"count":3,"x":"canary"}', '{"canary"', '{"count":"canary"}'])(
  'G18 a refusal of %s quotes nothing of it, neither in its message nor in its cause',
  (text) => {
    const refusal = (() => {
      try {
        return readResult(written(text), 10)
      } catch (error) {
        return error as Error
      }
    })()
    expect(refusal).toBeInstanceOf(Error)
    expect(inspect(refusal)).not.toMatch(/canary|count":3/)
  },
)
