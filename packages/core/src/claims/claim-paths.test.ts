import { expect, test } from 'vitest'
import { agreement, goodClaims } from '../testing/agreement-fixture.ts'
import { claimAt, claimPathText, claimPaths, misfits } from './claim-paths.ts'

const claims = goodClaims(agreement())

test('every claim of the schema is one that verified evidence gives, and the other way round', () => {
  expect(misfits(claims)).toEqual([])
  const members = (value: object, prefix = ''): string[] =>
    Object.entries(value).flatMap(([name, v]) => {
      const path = `${prefix}${name}`
      const isObject = typeof v === 'object' && v !== null && !Array.isArray(v)
      return isObject && !['boot.registers', 'launch.env'].includes(path) ? [path, ...members(v, `${path}.`)] : [path]
    })
  expect(claimPaths().map(([path]) => path)).toEqual(members(claims))
})

test.each([
  ['launch.imge', 'launch.image'],
  ['image', 'launch.image'],
  ['launch.Image', 'launch.image'],
  ['hostExclude', 'hostExcluded'],
  ['boot.reset_count', 'boot.resetCount'],
  ['launch.args.first', 'launch.args'],
])('no claim is at %s, and %s is suggested', (path, suggestion) => {
  expect(claimAt(path.split('.'))).toEqual({ kind: 'none', suggestion })
})

test('what is near nothing gets no suggestion', () => {
  expect(claimAt(['swname'])).toEqual({ kind: 'none', suggestion: null })
  for (const name of ['__proto__', 'constructor', 'toString']) expect(claimAt([name])).toMatchObject({ kind: 'none' })
})

test('paths lead through maps, lists and steps that are known only at run time', () => {
  expect(claimAt(['boot', 'registers', '15'])).toMatchObject({ kind: 'claim', claim: { kind: 'text' } })
  expect(claimAt(['boot', 'registers', '16'])).toMatchObject({ kind: 'none' })
  expect(claimAt(['boot', 'registers', null])).toMatchObject({ kind: 'claim' })
  expect(claimAt(['launch', 'env', 'ANY'])).toMatchObject({ kind: 'claim' })
  expect(claimAt(['launch', 'args', 0])).toMatchObject({ kind: 'claim' })
  expect(claimAt(['launch', null])).toMatchObject({ kind: 'none' })
  expect(claimPathText(['boot', 'registers', '4', null, 1])).toBe('boot.registers["4"][_][1]')
})
