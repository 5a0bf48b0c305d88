import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { parseChallenges } from './challenge.ts'

test('reads one challenge, several, and quoted commas', () => {
  const one = parseChallenges(
    'Bearer realm="https://auth.example/token",service="registry",scope="repository:a:pull,push"',
  )
  expect(one[0]?.scheme).toBe('bearer')
  expect(Object.fromEntries(one[0]!.parameters)).toEqual({
    realm: 'https://auth.example/token',
    service: 'registry',
    scope: 'repository:a:pull,push',
  })
  const two = parseChallenges('Negotiate, Basic Realm="a \\"b\\"" , bearer realm=x')
  expect(two.map((challenge) => [challenge.scheme, challenge.parameters.get('realm')])).toEqual([
    ['negotiate', undefined],
    ['basic', 'a "b"'],
    ['bearer', 'x'],
  ])
})

test.each([
  'Bearer realm="open',
  'Bearer realm="a" service="b"',
  'realm="a"',
  'Bearer realm=a, realm=b',
  '"x"',
  'Bearer realm=',
  `Bearer realm="${'x'.repeat(5000)}"`,
])('refuses %j', (header) => {
  expect(() => parseChallenges(header)).toThrow(expect.objectContaining({ code: 'registry.protocol' }))
})

test('any header gives challenges or our error', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[Bb ,="a-z\\]{0,40}$/), (header) => {
      try {
        parseChallenges(header)
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError)
      }
    }),
    { seed: 3, numRuns: 2000 },
  )
})
