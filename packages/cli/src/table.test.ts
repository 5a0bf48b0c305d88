import { expect, test } from 'vitest'
import { table } from './table.ts'

test.each([
  ['plain', 5],
  ['é', 1],
  ['e\u0301', 1],
  ['病院', 4],
  ['한국', 4],
  ['\u1112\u1161\u11ab', 2],
  ['ｱ', 1],
  ['Ａ', 2],
  ['👩‍⚕️', 2],
  ['🇩🇪', 2],
  ['❤️', 2],
  ['❤', 1],
  ['a\u200bb', 2],
  ['нет', 3],
])('%j takes %i columns', (text, columns) => {
  const [first = ''] = table([
    [text, 'x'],
    ['123456', 'x'],
  ]).split('\n')
  expect(/^.*?( *)x$/u.exec(first)?.[1]).toHaveLength(6 - columns + 2)
})

test('H09 a cell writes no line of its own, and does not reach the terminal otherwise', () => {
  const text = table([
    ['a\u001b[2K\rapproved', 'b'],
    ['c\nall is well', '\u202eevil\u009b31m'],
  ])
  expect(text.split('\n')).toHaveLength(2)
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
})
