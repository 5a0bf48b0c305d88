import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parseAuthFile } from './auth-file.ts'

const read = (value: unknown) => parseAuthFile(new TextEncoder().encode(JSON.stringify(value)))
const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') })

test('a key covers whole path parts, and no other host', () => {
  const find = read({ auths: { 'a.example/team': auth('u:p'), 'b.example': auth('v:q:r\n') } })
  expect(find({ registry: 'a.example', path: 'team/app' })).toEqual({ kind: 'password', username: 'u', password: 'p' })
  expect(find({ registry: 'a.example', path: 'team2/app' })).toBeUndefined()
  expect(find({ registry: 'a.example', path: 'other' })).toBeUndefined()
  expect(find({ registry: 'x.a.example', path: 'team/app' })).toBeUndefined()
  expect(find({ registry: 'b.example', path: 'x' })).toMatchObject({ password: 'q:r' })
  expect(find({ registry: 'b.example:444', path: 'x' })).toBeUndefined()
})

test('a path key does not speak for its host', () => {
  const find = read({ auths: { 'a.example/v3': auth('u:p') } })
  expect(find({ registry: 'a.example', path: 'app' })).toBeUndefined()
})

test.each([
  ['is not base64', { auths: { a: { auth: 'dTpw!' } } }],
  ['has no colon', { auths: { a: auth('user') } }],
  ['names a program', { credHelpers: { a: 'ecr-login' } }],
  ['names a store', { credsStore: 'desktop' }],
  ['has a login in a form that is not read', { auths: { a: { username: 'u', password: 'p' } } }],
  ['has a number for an entry', { auths: { a: 7 } }],
])('a file that %s is refused', (_why, value) => {
  expect(() => read(value)).toThrow(expect.objectContaining({ code: 'document.malformed' }))
})

describe.skipIf(missingVectors())('recorded look-ups', () => {
  interface Recorded {
    readonly auth_file: {
      readonly dir: string
      readonly cases: readonly [string, string, Record<string, string> | null][]
    }
  }
  test('all give what the reference gives', () => {
    const recorded = (JSON.parse(readVectorText('guest/inline/expectations.json')) as Recorded).auth_file
    for (const [file, name, expected] of recorded.cases) {
      const find = parseAuthFile(readVector(`guest/${recorded.dir}/${file}`))
      const [registry = '', ...rest] = name.split('/')
      const found = find({ registry, path: rest.join('/') || 'app' })
      const wanted =
        expected === null
          ? undefined
          : expected['identitytoken'] !== undefined
            ? { kind: 'identity-token', token: expected['identitytoken'] }
            : { kind: 'password', username: expected['u'], password: expected['p'] }
      expect(found, `${file} ${name}`).toEqual(wanted)
    }
    expect(recorded.cases.length).toBeGreaterThan(15)
  })
})
