import { expect, test } from 'vitest'
import { UsageError } from '../../output.ts'
import { parseAddress } from './image-address.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  ['oci:build', { place: 'build' }],
  ['oci:.', { place: '.' }],
  ['oci:/a/b:v1', { place: '/a/b', name: 'v1' }],
  ['oci:build:registry.example/app:v1', { place: 'build', name: 'registry.example/app:v1' }],
  [`oci:build@${digest}`, { place: 'build', digest }],
  [`oci:build:v1@${digest}`, { place: 'build', name: 'v1', digest }],
])('%s is a layout', (text, wanted) => {
  expect(parseAddress(text)).toEqual({ kind: 'oci', ...wanted })
})

test.each([
  ['/build:v1', 'oci:/build:v1'],
  ['./build', 'oci:./build'],
  ['oci:', 'oci:.'],
  ['oci::v1', 'oci:.'],
])('%s is refused, with what to write instead', (text, instead) => {
  const error = (() => {
    try {
      return parseAddress(text)
    } catch (caught) {
      return caught as UsageError
    }
  })()
  expect(error).toBeInstanceOf(UsageError)
  expect(JSON.stringify(error)).toContain(instead)
})

test.each(['oci:build@v1', `oci:build:v1@${digest}@${digest}`])('%s has no digest', (text) => {
  expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'digest.malformed' }))
})

test.each([
  ['oci-archive:a.tar', { kind: 'oci-archive', place: 'a.tar' }],
  ['oci-archive:/x/a.tar:v1', { kind: 'oci-archive', place: '/x/a.tar', name: 'v1' }],
  [
    'docker-archive:a.tar:registry.example:5000/app:v1',
    { kind: 'docker-archive', place: 'a.tar', name: 'registry.example:5000/app:v1' },
  ],
  [`docker-archive:a.tar@${digest}`, { kind: 'docker-archive', place: 'a.tar', digest }],
])('%s is an archive', (text, wanted) => {
  expect(parseAddress(text)).toEqual(wanted)
})

test.each([
  ['docker://debian:12', 'without docker://'],
  ['docker-daemon:app:v1', 'docker save'],
  ['containers-storage:app', 'skopeo copy containers-storage:'],
  ['dir:here', 'skopeo copy dir:'],
  ['https://registry.example/app:v1', 'without https://'],
  ['image.tar', 'oci-archive:image.tar'],
  ['image.tar.gz', 'docker-archive:image.tar.gz'],
  ['oci:build:', 'oci:build'],
  ['oci-archive:', 'oci-archive:FILE'],
])('a word of other tools, %s, is never asked for at docker.io', (text, instead) => {
  expect(() => parseAddress(text)).toThrow(expect.objectContaining({ hint: expect.stringContaining(instead) }))
})

test.each(['oci', 'oci-archive', 'registry.example/dir:v1', 'docker.io/library/dir:v1', 'debian:12'])(
  '%s is a name in a registry',
  (text) => {
    expect(parseAddress(text)).toMatchObject({ kind: 'registry' })
  },
)
