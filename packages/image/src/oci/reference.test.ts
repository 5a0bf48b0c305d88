import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { parseReference, referenceText } from './reference.ts'

const hex = 'a'.repeat(64)

test.each([
  ['debian', 'docker.io/library/debian'],
  ['debian:12', 'docker.io/library/debian:12'],
  ['team/app', 'docker.io/team/app'],
  ['index.docker.io/app', 'docker.io/library/app'],
  ['localhost/app', 'localhost/app'],
  ['localhost:5000/app:1', 'localhost:5000/app:1'],
  ['Registry.Example/a/b_c/d--e:Tag', 'registry.example/a/b_c/d--e:Tag'],
  ['registry.example/app:1@sha256:' + hex, `registry.example/app:1@sha256:${hex}`],
  ['[fd00::1]:5000/app', '[fd00::1]:5000/app'],
])('%s is %s', (text, normal) => {
  expect(referenceText(parseReference(text))).toBe(normal)
})

test.each([
  '',
  ':tag',
  '@',
  'a@sha256:short',
  'https://registry.example/app',
  'user@registry.example/app',
  'registry.example/App',
  'registry.example//app',
  'registry.example/../app',
  'registry.example/app:',
  'registry.example/app:-x',
  `registry.example/app:${'x'.repeat(129)}`,
  'registry.example:99999/app',
  'registry.example:0/app',
  'reg_istry.example/app',
  '-registry.example/app',
  'registry.example/app?x',
  'registry.example/app#x',
  ' a',
  'a b',
  hex,
  `registry.example/${'a/'.repeat(200)}a`,
  'registry.example:80:90/app',
  'registry.example/app\n',
])('refuses %j', (text) => {
  expect(() => parseReference(text)).toThrow(ImageError)
})

test('what parses is normal: written out and read again it is the same', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z0-9.:/@_-]{1,60}$/), (text) => {
      let reference
      try {
        reference = parseReference(text)
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError)
        return
      }
      expect(parseReference(referenceText(reference))).toEqual(reference)
    }),
    { seed: 5, numRuns: 3000 },
  )
})
