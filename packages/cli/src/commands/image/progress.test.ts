import { expect, test } from 'vitest'
import { lineOf } from './progress.ts'

test.each([80, 61, 40, 20, 1])('progress stays on one line of a terminal of %i columns', (columns) => {
  for (const of of [0, 3 * 1024 ** 4])
    expect(lineOf('sha256:0123456789ab', 1024 ** 4, of, columns).length).toBeLessThan(columns)
})

test('progress says how far it is, where that is known, in a narrow terminal too', () => {
  expect(lineOf('layer 1', 512, 1024, 80)).toBe('layer 1 [============------------] 512 B')
  expect(lineOf('layer 1', 512, 1024, 30)).toBe('layer 1 50% 512 B')
  expect(lineOf('layer 1', 512, 0, 80)).toBe('layer 1 512 B')
})
