import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BUILTINS } from '../../builtins/index.ts'
import { fromJson, type Value } from '../../value/index.ts'
import { PlainFormat } from './plain-format.ts'

const text = fc
  .array(fc.constantFrom('%', '%s', '%d', '%v', '%%', '%5d', '%[1]d', '%x', 's', 'd', ' ', 'é', '\u{1f600}'))
  .map((p) => p.join(''))
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.integer(),
  fc.constantFrom(
    ...['-0', '0.5', '1e3', '9007199254740993', 'null', 'true', '[1]', '{"a": 1}', '"%d"'].map((v) => fromJson(v)),
  ),
)

test('a plain format prints what sprintf prints, or leaves it to sprintf', () => {
  const sprintf = BUILTINS.get('sprintf')
  const context = { spend: () => undefined, reserve: () => undefined, memo: new Map() }
  let printed = 0
  fc.assert(
    fc.property(text, fc.array(value, { maxLength: 4 }), (format, values) => {
      const mine = PlainFormat.of(format)?.print(values)
      if (mine === undefined) return
      printed++
      expect(mine).toBe(sprintf?.call(context as never, format, values))
    }),
    { numRuns: 20_000, seed: 4 },
  )
  expect(printed).toBeGreaterThan(500)
})

test('formats with a flag, a width, an index or a bare percent sign are not plain', () => {
  for (const format of ['%5d', '%+d', '%[1]s', '%%', '100%', '%x', '%-s', '%.2s']) {
    expect(PlainFormat.of(format), format).toBeUndefined()
  }
})
