import { expect, test } from 'vitest'
import { parseHistory } from './history.ts'

const parse = (history: unknown) => parseHistory(Buffer.from(JSON.stringify({ history })), 'configuration')

test('each step is told with its time, its command and whether it has a layer', () => {
  const created = '2026-11-22T10:00:00Z'
  expect(
    parse([
      { created, created_by: 'COPY . .' },
      { created_by: 'ENV A=1', comment: 'buildkit', empty_layer: true },
    ]),
  ).toEqual([
    { created, createdBy: 'COPY . .', emptyLayer: false },
    { createdBy: 'ENV A=1', comment: 'buildkit', emptyLayer: true },
  ])
  expect([parse(undefined), parse(null), parse([])]).toEqual([[], [], []])
})

test.each([
  ['a list', {}],
  ['objects', ['COPY']],
  ['text', [{ created_by: 1 }]],
  ['of a length', Array.from({ length: 4097 }, () => ({}))],
])('H10 a history that is not %s is refused', (_what, history) => {
  expect(() => parse(history)).toThrow(expect.objectContaining({ code: 'document.malformed' }))
})
