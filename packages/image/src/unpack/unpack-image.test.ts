import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { buildImage } from '../build/build-image.ts'
import { blobPath, ImageLayout } from '../layout/layout.ts'
import { MEDIA } from '../oci/media-types.ts'
import { rawTar } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { listTree } from '../testing/listing.ts'
import { file, type Layers, unpackRaw } from '../testing/unpack.ts'
import { unpackImage, type UnpackOptions } from './unpack-image.ts'

const fresh = scratchSpace('unpack')
const unpack = (layers: Layers, options?: UnpackOptions) => unpackRaw(fresh(), layers, options)
const names = async (layers: Layers) => Object.keys((await unpack(layers)).tree)
const isRoot = process.getuid?.() === 0

test('an image that was built is unpacked as umoci unpacks it', async () => {
  const layout = fresh()
  const files = [
    { kind: 'directory', path: 'tmp', mode: 0o1777 },
    { kind: 'file', path: 'bin/run', bytes: new TextEncoder().encode('#!/bin/sh\n'), mode: 0o755 },
    { kind: 'symlink', path: 'bin/link', target: '/nowhere' },
    { kind: 'file', path: `etc/${'ü'.repeat(80)}`, bytes: new Uint8Array(3_000_000).fill(7) },
  ] as const
  const { digest } = await buildImage(
    { layers: [{ kind: 'files', files }], config: {}, name: 'v1', compression: 'gzip' },
    layout,
  )
  const target = fresh()
  const report = await unpackImage(await ImageLayout.open(layout), digest, target)
  expect(report).toMatchObject({ entries: 4, bytes: 3_000_010, droppedCount: 0 })
  const bundle = fresh()
  execFileSync('umoci', ['unpack', ...(isRoot ? [] : ['--rootless']), '--image', `${layout}:v1`, bundle])
  const theirs = listTree(path.join(bundle, 'rootfs'))
  const ours = listTree(target)
  // directories that no entry describes have the time of unpacking there, and 1970 here
  for (const name of ['bin', 'etc']) theirs[name] = theirs[name]!.replace(/ t\d+$/, '')
  expect(ours).toEqual(theirs)
})

describe('H06 only verified content is published', () => {
  const tamper = (layout: string, digest: Parameters<typeof blobPath>[1], change: (bytes: Buffer) => Buffer) => {
    const blob = blobPath(layout, digest)
    writeFileSync(blob, change(readFileSync(blob)))
  }
  const entries = [file('a', 'aaaa'), file('b')]

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['a byte of content changed', (bytes) => bytes.fill('b', 512, 513)],
    ['a header byte changed, which alone would be a broken archive', (bytes) => bytes.fill('b', 3, 4)],
    ['a name changed into one that climbs, with a good checksum', () => rawTar([file('../a', 'aaaa'), file('b')])],
    ['its end cut off', (bytes) => bytes.subarray(0, -1024)],
    ['bytes added', (bytes) => Buffer.concat([bytes, Buffer.alloc(512)])],
  ])('a blob with %s', async (_why, change) => {
    const layout = fresh()
    const { digest, layerDigests } = writeRawImage(layout, [{ tar: rawTar(entries) }])
    tamper(layout, layerDigests[0]!, change)
    const target = fresh()
    await expect(unpackImage(await ImageLayout.open(layout), digest, target)).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
    expect(existsSync(target)).toBe(false)
  })

  test('an archive that is not the one the configuration names', async () => {
    const diffId = `sha256:${'0'.repeat(64)}`
    for (const layer of [
      { tar: rawTar(entries), diffId },
      { tar: rawTar(entries), blob: zlib.gzipSync(rawTar(entries)), mediaType: MEDIA.layerGzip, diffId },
    ])
      await expect(unpack([layer])).rejects.toMatchObject({
        code: 'digest.mismatch',
        message: expect.stringContaining('configuration says'),
      })
  })

  test('a second layer that fails leaves nothing of the first', async () => {
    const layout = fresh()
    const { digest } = writeRawImage(layout, [{ tar: rawTar(entries) }, { tar: rawTar([file('../x')]) }])
    const target = fresh()
    await expect(unpackImage(await ImageLayout.open(layout), digest, target)).rejects.toMatchObject({
      code: 'unpack.escape',
    })
    expect(lstatSync(target, { throwIfNoEntry: false })).toBeUndefined()
  })

  test('a layer without the end of its archive is taken only because its digest is right', async () => {
    const tar = rawTar([file('a', 'x')], Buffer.alloc(0))
    expect(await names([{ tar }])).toEqual(['a'])
    await expect(unpack([{ tar: tar.subarray(0, -600), diffId: undefined! }])).rejects.toMatchObject({
      code: 'tar.truncated',
    })
  })

  test('H11 an encrypted layer is not unpacked, and not silently skipped', async () => {
    await expect(unpack([{ tar: rawTar(entries), mediaType: `${MEDIA.layer}+encrypted` }])).rejects.toMatchObject({
      code: 'encryption.no-key',
    })
  })
})
