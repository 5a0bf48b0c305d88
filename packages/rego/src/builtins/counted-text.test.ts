import { MatcherInput, RE2JS } from 're2js'
import { expect, test } from 'vitest'
import { CountedText } from './counted-text.ts'

test('a counted text is a text to the engine and counts what it looks at', () => {
  const text = new CountedText('xxab€')
  const m = RE2JS.compile('[a-z]b(.)').matcher(MatcherInput.utf16(text))
  expect(m.find()).toBe(true)
  expect([m.group(0), m.group(1)]).toEqual(['ab€', '€'])
  expect(text.takeLooks()).toBeGreaterThanOrEqual(5)
  expect(text.takeLooks()).toBe(0)
})

test('a counted text inherits nothing from String: that would make every charCodeAt of the process slow', () => {
  expect(Object.prototype.isPrototypeOf.call(String.prototype, new CountedText('a'))).toBe(false)
})
