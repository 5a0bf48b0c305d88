import { missingVectors, readVector } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { parseImageConfig } from './config.ts'
import { digestOf } from './digest.ts'
import { layerForm, MEDIA } from './media-types.ts'
import { parseManifestOrIndex } from './manifest.ts'

const bytesOf = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const descriptor = { mediaType: MEDIA.config, digest: digestOf(bytesOf('{}')), size: 2 }
const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config: descriptor, layers: [] }
const readConfig = (value: unknown) => parseImageConfig(bytesOf(value), 'c')
const read = (value: unknown, type: string = MEDIA.manifest) => parseManifestOrIndex(bytesOf(value), type, 'm')

test.each([
  ['calls itself an index', { ...manifest, mediaType: MEDIA.index }, 'chain.media-type', 'calls itself'],
  ['carries manifests as well as layers', { ...manifest, manifests: [] }, 'chain.media-type', 'manifests'],
  ['carries the members of schema 1', { ...manifest, fsLayers: [] }, 'chain.media-type', 'fsLayers'],
  ['has another schema version', { ...manifest, schemaVersion: 1 }, 'document.malformed', 'schemaVersion'],
  ['lacks a configuration', { ...manifest, config: undefined }, 'document.malformed', 'config'],
  ['lacks layers', { ...manifest, layers: undefined }, 'document.malformed', 'layers'],
  ['has a negative size', { ...manifest, config: { ...descriptor, size: -1 } }, 'document.malformed', 'size'],
  ['has a fractional size', { ...manifest, config: { ...descriptor, size: 1.5 } }, 'document.malformed', 'size'],
  [
    'has a digest with a path in it',
    { ...manifest, config: { ...descriptor, digest: 'sha256:../x' } },
    'digest.malformed',
    'config.digest',
  ],
  ['is an array', [], 'document.malformed', 'not an object'],
  [
    'repeats a member',
    '{"schemaVersion":2,"schemaVersion":2}',
    'document.malformed',
    'duplicate member "schemaVersion"',
  ],
  [
    'repeats a member spelled with an escape',
    '{"a":{"b":1,"\\u0062":2}}',
    'document.malformed',
    'duplicate member "b"',
  ],
  ['has a byte order mark', '\ufeff{}', 'document.malformed', 'offset 0'],
  ['is nested without end', '['.repeat(5000) + ']'.repeat(5000), 'document.malformed', 'nested'],
])('H02 H06 refuses a manifest that %s', (_why, value, code, message) => {
  expect(() => read(value)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
})

const config = { os: 'linux', architecture: 'amd64', config: {}, rootfs: { type: 'layers', diff_ids: [] } }
test.each([
  ['a second list of layers', read, { ...manifest, Layers: [descriptor] }, '"Layers"'],
  ['a media type of its own', read, { ...manifest, mediaType: undefined, MediaType: MEDIA.index }, '"MediaType"'],
  ['the list of an index', read, { ...manifest, Manifests: [] }, '"Manifests"'],
  ['another size', read, { ...manifest, config: { ...descriptor, SIZE: 3 } }, 'm.config: "SIZE"'],
  ['a letter that Go takes for another', read, { ...manifest, 'layer\u017f': [] }, '"layer\u017f"'],
  ['another entrypoint', readConfig, { ...config, config: { Entrypoint: ['/a'], entrypoint: ['/b'] } }, '"entrypoint"'],
  ['another root', readConfig, { ...config, RootFS: { type: 'layers', diff_ids: [] } }, '"RootFS"'],
])('K12 %s, which readers in Go believe and others do not see, is refused', (_what, reading, value, message) => {
  expect(() => reading(value)).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }))
})

test('K12 names that are the author’s own may differ by case alone', () => {
  const annotations = { 'example.Name': '1', 'example.name': '2' }
  expect(read({ ...manifest, annotations }).annotations.size).toBe(2)
  expect(readConfig({ ...config, config: { Labels: { A: '1', a: '2' } } }).execution.labels.size).toBe(2)
})

test('H02 refuses an index that carries layers, and an index where the type says manifest', () => {
  const index = { schemaVersion: 2, manifests: [] }
  expect(read(index, MEDIA.index).kind).toBe('index')
  expect(() => read({ ...index, layers: [] }, MEDIA.index)).toThrow(
    expect.objectContaining({ code: 'chain.media-type' }),
  )
  expect(() => read(index)).toThrow(expect.objectContaining({ code: 'chain.media-type' }))
  expect(() => read(index, 'application/json')).toThrow(expect.objectContaining({ code: 'chain.media-type' }))
})

test('refuses a document over the size limit before it is parsed', () => {
  expect(() => read(' '.repeat(4 * 1024 * 1024 + 1))).toThrow(expect.objectContaining({ code: 'document.too-large' }))
})

test('a member named __proto__ is only a member', () => {
  const parsed = read(
    '{"schemaVersion":2,"config":' + JSON.stringify(descriptor) + ',"layers":[],"annotations":{"__proto__":"x"}}',
  )
  expect([...parsed.annotations]).toEqual([['__proto__', 'x']])
})

test('an environment entry without a name is refused', () => {
  const config = (env: unknown) =>
    bytesOf({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] }, config: { Env: env } })
  expect(parseImageConfig(config(['A=b=c', 'B=']), 'c').execution.env).toEqual(['A=b=c', 'B='])
  expect(() => parseImageConfig(config(['=b']), 'c')).toThrow(expect.objectContaining({ code: 'document.malformed' }))
})

test('a layer media type that is not listed has no form', () => {
  expect(layerForm('application/vnd.oci.image.layer.v1.tar+zstd+encrypted')).toEqual({
    compression: 'zstd',
    encrypted: true,
  })
  expect(layerForm('application/vnd.oci.image.layer.v1.tar+gzip')).toEqual({ compression: 'gzip', encrypted: false })
  expect(layerForm('application/vnd.oci.image.layer.v1.tar+encrypted+encrypted')).toBeUndefined()
  expect(layerForm('application/octet-stream')).toBeUndefined()
})

describe.skipIf(missingVectors())('recorded manifests', () => {
  const folder = 'guest/containers-image/internal/manifest/testdata'
  test.each([
    ['ociv1.manifest.json', MEDIA.manifest, 'manifest'],
    ['ociv1nomime.manifest.json', MEDIA.manifest, 'manifest'],
    ['ociv1.image.index.json', MEDIA.index, 'index'],
    ['ociv1nomime.image.index.json', MEDIA.index, 'index'],
    ['v2s2.manifest.json', MEDIA.dockerManifest, 'manifest'],
    ['v2list.manifest.json', MEDIA.dockerIndex, 'index'],
    ['oci1.index.zstd-selection.json', MEDIA.index, 'index'],
  ])('%s reads as what it is', (name, type, kind) => {
    expect(parseManifestOrIndex(readVector(`${folder}/${name}`), type, name).kind).toBe(kind)
  })

  test.each([
    ['non-json.manifest.json', MEDIA.manifest, 'document.malformed'],
    ['unknown-version.manifest.json', MEDIA.manifest, 'document.malformed'],
    ['v2s1.manifest.json', MEDIA.dockerManifest, 'document.malformed'],
    ['ociv1.image.index.json', MEDIA.manifest, 'chain.media-type'],
    ['ociv1nomime.image.index.json', MEDIA.manifest, 'chain.media-type'],
    ['ociv1nomime.manifest.json', MEDIA.index, 'chain.media-type'],
    ['v2list.manifest.json', MEDIA.index, 'chain.media-type'],
  ])('%s is refused as %s', (name, type, code) => {
    expect(() => parseManifestOrIndex(readVector(`${folder}/${name}`), type, name)).toThrow(
      expect.objectContaining({ code }),
    )
  })

  test('changed bytes give a document or our error, never another', () => {
    const bytes = readVector(`${folder}/ociv1.image.index.json`)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, value, length) => {
        try {
          parseManifestOrIndex(
            bytes.with(at, value).subarray(0, length % 5 === 0 ? length : bytes.length),
            MEDIA.index,
            'fuzz',
          )
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      }),
      { seed: 6, numRuns: 1500 },
    )
  })
})
