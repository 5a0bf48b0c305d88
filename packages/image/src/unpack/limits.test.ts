import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { rawTar } from '../testing/archive.ts'
import { type RawLayer, scratchSpace } from '../testing/image.ts'
import { counting, image } from '../testing/pull.ts'
import { dir, file, type Layers, link, unpackRaw } from '../testing/unpack.ts'
import { unpackImage, type UnpackOptions } from './unpack-image.ts'

const fresh = scratchSpace('unpack')
const unpack = (layers: Layers, options?: UnpackOptions) => unpackRaw(fresh(), layers, options)

describe('H10 what costs too much', () => {
  const zeros = (length: number) => rawTar([{ name: 'zeros', body: new Uint8Array(length) }])
  const gzip = (tar: Uint8Array): RawLayer => ({ tar, blob: zlib.gzipSync(tar), mediaType: MEDIA.layerGzip })
  const zstd = (tar: Uint8Array): RawLayer => ({ tar, blob: zlib.zstdCompressSync(tar), mediaType: MEDIA.layerZstd })

  test.each<[string, Layers, UnpackOptions['limits'], string]>([
    ['a gzip bomb', [gzip(zeros(40_000_000))], {}, 'compression.limit'],
    ['a zstd bomb', [zstd(zeros(40_000_000))], {}, 'compression.limit'],
    ['a layer that expands too far', [gzip(zeros(2_000_000))], { maxLayerBytes: 1_000_000 }, 'compression.limit'],
    [
      'files too large in all',
      [[file('a', 'x'.repeat(600)), file('b', 'x'.repeat(600))]],
      { maxTotalBytes: 1000 },
      'unpack.limit',
    ],
    [
      'files too large over two layers',
      [[file('a', 'x'.repeat(600))], [file('a', 'x'.repeat(600))]],
      { maxTotalBytes: 1000 },
      'unpack.limit',
    ],
    [
      'a sparse file that claims too much',
      [
        [
          {
            name: 'hole',
            pax: [
              ['GNU.sparse.size', '9000000000000'],
              ['GNU.sparse.map', ''],
            ],
          },
        ],
      ],
      {},
      'unpack.limit',
    ],
    [
      'a sparse file whose holes are far more than its layer',
      [
        [
          {
            name: 'hole',
            pax: [
              ['GNU.sparse.size', '60000000000'],
              ['GNU.sparse.map', '0,0'],
            ],
          },
        ],
      ],
      {},
      'unpack.limit',
    ],
    [
      'many sparse files whose holes are',
      [
        Array.from({ length: 40 }, (_, i) => ({
          name: `hole${i}`,
          pax: [
            ['GNU.sparse.size', '15000000'],
            ['GNU.sparse.map', '0,0'],
          ] as const,
        })),
      ],
      {},
      'unpack.limit',
    ],
    [
      'a layer stored in more than it may hold',
      [[file('a', 'x'.repeat(6000))]],
      { maxLayerBytes: 5000 },
      'unpack.limit',
    ],
    ['too many entries', [[file('a'), file('b'), file('c')]], { maxEntries: 2 }, 'unpack.limit'],
    [
      'too many whiteouts',
      [[{ name: '.wh.a' }, { name: '.wh.b' }, { name: '.wh.c' }]],
      { maxEntries: 2 },
      'unpack.limit',
    ],
    ['directories too deep', [[file('a/b/c/d/e')]], { maxDepth: 3 }, 'unpack.limit'],
    [
      'directories too deep through a link',
      [[dir('a/b'), link('a/b/l', '/a/b'), dir('a/b/c'), file('a/b/l/c/d')]],
      { maxDepth: 2 },
      'unpack.limit',
    ],
  ])('%s', async (_why, layers, limits, code) => {
    await expect(unpack(layers, { limits: limits ?? {} })).rejects.toMatchObject({ code })
  })

  test('H10 a layer that is stored in more than it may hold is not read', async () => {
    const { source, digest } = await image([[file('a', 'x'.repeat(6000))]])
    const read: Digest[] = []
    const spy = counting(source, (one) => read.push(one))
    const unpacking = unpackImage(spy, digest, fresh(), { limits: { maxLayerBytes: 5000 } })
    await expect(unpacking).rejects.toMatchObject({ code: 'unpack.limit' })
    expect(read).toHaveLength(1) // the configuration
  })

  test('a zstd frame that asks for a huge window is refused before memory is given', async () => {
    const tar = zeros(10)
    const blob = Buffer.concat([
      Buffer.from('28b52ffd00', 'hex'),
      Buffer.from([0xa0]),
      zlib.zstdCompressSync(tar).subarray(6),
    ])
    await expect(unpack([{ tar, blob, mediaType: MEDIA.layerZstd }])).rejects.toMatchObject({
      code: 'compression.limit',
      message: expect.stringContaining('window'),
    })
  })

  test('time is the caller’s to limit', async () => {
    await expect(unpack([gzip(zeros(4_000_000))], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    })
  })

  const halves = (tar: Uint8Array, compress: (b: Uint8Array) => Uint8Array) =>
    Buffer.concat([compress(tar.subarray(0, 700)), compress(tar.subarray(700))])
  test.each([
    ['gzip', zlib.gzipSync, MEDIA.layerGzip],
    ['zstd', zlib.zstdCompressSync, MEDIA.layerZstd],
  ] as const)(
    '%s streams one after another are one archive; what is cut or left over is refused',
    async (_name, compress, mediaType) => {
      const tar = rawTar([file('a'), file('b', 'x'.repeat(300_000)), file('c')])
      const { tree } = await unpack([{ tar, blob: halves(tar, compress), mediaType }])
      expect(Object.keys(tree)).toEqual(['a', 'b', 'c'])
      const whole = compress(tar)
      for (const [blob, why] of [
        [halves(tar, compress).subarray(0, -9), 'cut'],
        [Buffer.concat([whole, Buffer.alloc(9)]), 'zeros left over'],
        [Buffer.concat([whole, Buffer.from('left over')]), 'text left over'],
        [Buffer.concat([whole, Buffer.alloc(3), whole]), 'another stream after zeros'],
        [tar, 'not compressed'],
      ] as const)
        await expect(unpack([{ tar, blob, mediaType }]), why).rejects.toMatchObject({ code: 'compression.malformed' })
    },
  )

  test('zstd: many small frames, skippable frames, and a frame whose small input is a large output', async () => {
    const tar = rawTar([file('a', 'x'.repeat(9_000_000)), ...Array.from({ length: 50 }, (_, i) => file(`f${i}`))])
    const skippable = Buffer.from('502a4d1803000000616263', 'hex')
    const parts = [zlib.zstdCompressSync(tar.subarray(0, 9_100_000 - 50_000)), skippable]
    for (let at = 9_050_000; at < tar.length; at += 1000) parts.push(zlib.zstdCompressSync(tar.subarray(at, at + 1000)))
    const { tree } = await unpack([{ tar, blob: Buffer.concat(parts), mediaType: MEDIA.layerZstd }], {
      limits: { maxRatio: 1e6 },
    })
    expect(Object.keys(tree)).toHaveLength(51)
  })
})
