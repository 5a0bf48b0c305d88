import { expect, test } from 'vitest'
import { anew, remembering } from './once.ts'

test('the same text is read once for each purpose, and nothing else is taken for it', () => {
  const once = remembering()
  let made = 0
  const read = (what: string, text: string) => once(what, text, () => ({ what, text, number: ++made }))
  expect(read('log', 'a')).toBe(read('log', 'a'))
  expect([read('log', 'a'), read('certificate', 'a'), read('log', 'b'), read('log', '__proto__')]).toEqual([
    { what: 'log', text: 'a', number: 1 },
    { what: 'certificate', text: 'a', number: 2 },
    { what: 'log', text: 'b', number: 3 },
    { what: 'log', text: '__proto__', number: 4 },
  ])
  expect(anew('log', 'a', () => ++made)).toBe(5)
  expect(anew('log', 'a', () => ++made)).toBe(6)
})

test('what came to nothing is remembered, what was refused is refused again', () => {
  const once = remembering()
  let asked = 0
  for (let i = 0; i < 2; i++) expect(once('x', 'empty', () => void asked++)).toBe(undefined)
  expect(asked).toBe(1)
  const refuse = () => {
    asked++
    throw new RangeError('no')
  }
  for (let i = 0; i < 2; i++) expect(() => once('x', 'bad', refuse)).toThrow(RangeError)
  expect(asked).toBe(3)
})

test('more text than is kept costs what was kept, and a text longer than that nothing', () => {
  const once = remembering(4)
  let made = 0
  const read = (text: string) => once('x', text, () => ++made)
  expect([read('aa'), read('bb'), read('aa'), read('bb')]).toEqual([1, 2, 1, 2])
  expect([read('too long'), read('too long')]).toEqual([3, 4])
  expect([read('cc'), read('dd'), read('ee'), read('cc')]).toEqual([5, 6, 7, 8])
})
