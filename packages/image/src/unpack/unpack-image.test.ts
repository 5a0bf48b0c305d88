import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { buildImage } from '../build/build-image.ts'
import { blobPath, ImageLayout } from '../layout/layout.ts'
import { MEDIA } from '../oci/media-types.ts'
import { rawTar, type RawEntry } from '../testing/archive.ts'
import { type RawLayer, scratchSpace, writeRawImage } from '../testing/image.ts'
import { listTree } from '../testing/listing.ts'
import { FAITHFUL } from './profile.ts'
import { unpackImage, type UnpackOptions } from './unpack-image.ts'

const fresh = scratchSpace('unpack')
const isRoot = process.getuid?.() === 0

/** Unpacks hand-made layers into a directory that lies between two canaries. */
async function unpack(layers: readonly (readonly RawEntry[] | RawLayer)[], options: UnpackOptions = {}) {
  const place = fresh()
  mkdirSync(path.join(place, 'outside'), { recursive: true })
  writeFileSync(path.join(place, 'outside/canary'), 'untouched')
  const raw = layers.map((layer) => ('tar' in layer ? layer : { tar: rawTar(layer) }))
  const { digest } = writeRawImage(path.join(place, 'layout'), raw)
  const target = path.join(place, 'target')
  const before = listTree(path.join(place, 'outside'))
  const layout = await ImageLayout.open(path.join(place, 'layout'))
  try {
    const report = await unpackImage(layout, digest, target, options)
    return { target, report, tree: listTree(target) }
  } finally {
    expect(listTree(path.join(place, 'outside'))).toEqual(before)
    expect(readdirSync(place).filter((name) => !['layout', 'outside', 'target'].includes(name))).toEqual([])
  }
}
const names = async (layers: Parameters<typeof unpack>[0]) => Object.keys((await unpack(layers)).tree)
const dir = (name: string): RawEntry => ({ name, type: '5' })
const file = (name: string, body = name): RawEntry => ({ name, body })
const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target })
const hard = (name: string, target: string): RawEntry => ({ name, type: '1', link: target })

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

describe('H07 nothing is written outside the root', () => {
  test.each<[string, RawEntry[], string, string]>([
    ['a name that climbs', [file('../outside/canary')], 'unpack.escape', '../outside/canary'],
    [
      'a name that climbs in the middle',
      [dir('a'), file('a/../../outside/canary')],
      'unpack.escape',
      'a/../../outside/canary',
    ],
    ['an absolute name', [file('/etc/passwd')], 'unpack.escape', '/etc/passwd'],
    ['an absolute name by pax', [{ ...file('x'), pax: [['path', '/etc/passwd']] }], 'unpack.escape', '/etc/passwd'],
    [
      'a link out, then a file through it',
      [link('out', '../outside'), file('out/canary')],
      'unpack.escape',
      'out/canary',
    ],
    [
      'a link deep in the tree that climbs above the root',
      [dir('a/b'), link('a/b/out', '../../../outside'), file('a/b/out/canary')],
      'unpack.escape',
      'a/b/out/canary',
    ],
    [
      'an absolute link, then a file through it',
      [link('out', '/outside'), file('out/canary')],
      'unpack.parent',
      'out/canary',
    ],
    ['a link to itself', [link('a', 'a'), file('a/b')], 'unpack.parent', 'a/b'],
    ['a chain of links', [link('a', 'b'), link('b', '../outside'), file('a/canary')], 'unpack.escape', 'a/canary'],
    ['a hard link out', [hard('a', '../outside/canary')], 'unpack.escape', 'a'],
    ['an absolute hard link', [hard('a', '/etc/passwd')], 'unpack.escape', 'a'],
    ['a hard link through a link out', [link('out', '../outside'), hard('a', 'out/canary')], 'unpack.escape', 'a'],
    ['a hard link to what is not there', [hard('a', 'b')], 'unpack.link', 'a'],
    ['a hard link to a directory', [dir('d'), hard('a', 'd')], 'unpack.link', 'a'],
    ['a file in place of the root', [file('.')], 'unpack.escape', '.'],
    ['a link in place of the root', [link('./', '/etc')], 'unpack.escape', './'],
    ['a file below a file', [file('a'), file('a/b')], 'unpack.parent', 'a/b'],
    ['a name of 256 bytes', [{ ...file('x'), pax: [['path', 'n'.repeat(256)]] }], 'unpack.limit', 'n'.repeat(256)],
  ])('%s', async (_why, entries, code, entry) => {
    await expect(unpack([entries])).rejects.toMatchObject({ code, entry })
  })

  test('a link of a lower layer to the outside is not followed by an upper one', async () => {
    await expect(unpack([[link('out', '../outside')], [file('out/canary', 'evil')]])).rejects.toMatchObject({
      code: 'unpack.escape',
    })
    await expect(unpack([[link('out', '../outside')], [{ name: 'out/.wh.canary' }]])).rejects.toMatchObject({
      code: 'unpack.escape',
    })
  })

  test('a link that stays inside is followed, also an absolute one, as a container sees it', async () => {
    expect(
      await names([[dir('usr/lib'), link('lib', 'usr/lib'), link('abs', '/usr/lib'), file('lib/a'), file('abs/b')]]),
    ).toEqual(['abs', 'lib', 'usr', 'usr/lib', 'usr/lib/a', 'usr/lib/b'])
  })

  test('a hard link to a link gets the link, not what it points at', async () => {
    const { tree } = await unpack([[link('out', '../outside/canary'), hard('a', 'out')]])
    expect(tree['a']).toContain('-> ../outside/canary')
  })

  test('a file replaces a link and is not written through it; a hard link partner keeps its content', async () => {
    const { target } = await unpack([
      [file('a', 'old'), hard('b', 'a'), link('c', 'b')],
      [file('a', 'new'), file('c', 'mine')],
    ])
    expect(['a', 'b', 'c'].map((name) => readFileSync(path.join(target, name), 'utf8'))).toEqual(['new', 'old', 'mine'])
  })

  test('drive letters, backslashes and bytes that are no UTF-8 are only names', async () => {
    const { tree } = await unpack([[file('C:evil'), file('..\\up'), { name: Buffer.from([0x61, 0xff]), body: '' }]])
    expect(Object.keys(tree)).toEqual(['..\\up', 'C:evil', 'a\xff'])
  })

  test.each([
    ['by case', 'Dir', 'dir'],
    ['by composition', 'café', 'cafe\u0301'],
    ['by compatibility', 'straße', 'STRASSE'],
  ])('a link and a directory whose names differ only %s', async (_how, a, b) => {
    await expect(unpack([[link(a, '/etc'), file(`${b}/x`)]])).rejects.toMatchObject({
      code: 'unpack.collision',
      entry: `${b}/x`,
    })
    await expect(unpack([[dir(a)], [link(b, '/etc')]])).rejects.toMatchObject({ code: 'unpack.collision', entry: b })
    expect(await names([[file(a), file(b)]])).toHaveLength(2)
    expect(await names([[dir(a), dir(b)]])).toHaveLength(2)
  })

  test('a target that exists, or is a link, is left alone', async () => {
    const layout = fresh()
    const { digest } = writeRawImage(layout, [{ tar: rawTar([file('a')]) }])
    const source = await ImageLayout.open(layout)
    const target = fresh()
    symlinkSync('/nowhere', target)
    await expect(unpackImage(source, digest, target)).rejects.toMatchObject({ code: 'unpack.target' })
    await expect(unpackImage(source, digest, path.join(fresh(), 'no/parent'))).rejects.toMatchObject({
      code: 'unpack.target',
    })
  })
})

describe('a path twice in a layer', () => {
  test.each<[string, RawEntry[], string]>([
    ['two files', [file('a'), file('./a')], './a'],
    ['a file and a directory', [file('a'), dir('a')], 'a'],
    ['a directory with content and a file', [file('a/b'), file('a')], 'a'],
    ['two files, one through a link', [dir('d'), link('l', 'd'), file('d/a'), file('l/a')], 'l/a'],
    ['a link over a file', [file('a'), link('a', 'b')], 'a'],
    ['two directories of different mode', [dir('a'), { ...dir('a/'), mode: 0o777 }], 'a/'],
  ])('is refused with its name: %s', async (_why, entries, entry) => {
    await expect(unpack([entries])).rejects.toMatchObject({ code: 'unpack.duplicate', entry })
  })

  test('is allowed for a directory described equally, or first only implied', async () => {
    expect(await names([[dir('a'), dir('a/')]])).toEqual(['a'])
    const { tree } = await unpack([[file('a/b'), { ...dir('a'), mode: 0o700 }]])
    expect(tree['a']).toMatch(/^d 700 /)
  })
})

describe('H08 whiteouts', () => {
  const lower = [dir('d'), file('d/a'), file('d/b'), dir('d/sub'), file('d/sub/c'), file('e')]

  test('hide a file, a directory with all below it, and nothing else', async () => {
    expect(await names([lower, [{ name: 'd/.wh.a' }, { name: '.wh.e' }]])).toEqual(['d', 'd/b', 'd/sub', 'd/sub/c'])
    expect(await names([lower, [{ name: '.wh.d' }]])).toEqual(['e'])
    expect(await names([lower, [{ name: '.wh.gone' }, { name: 'gone/.wh.x' }]])).toHaveLength(6)
  })

  test('hide only lower layers, wherever in the layer they stand', async () => {
    for (const entries of [
      [{ name: 'd/.wh.a' }, file('d/a', 'new')],
      [file('d/a', 'new'), { name: 'd/.wh.a' }],
    ]) {
      const { target } = await unpack([lower, entries])
      expect(readFileSync(path.join(target, 'd/a'), 'utf8')).toBe('new')
    }
    for (const entries of [
      [{ name: '.wh.d' }, file('d/new')],
      [file('d/new'), { name: '.wh.d' }],
    ])
      expect(await names([lower, entries])).toEqual(['d', 'd/new', 'e'])
  })

  test('opaque ones empty a directory of what lower layers put there, before or after its new content', async () => {
    const opaque = { name: 'd/.wh..wh..opq' }
    for (const entries of [
      [opaque, file('d/new'), file('d/sub/new')],
      [file('d/new'), file('d/sub/new'), opaque],
    ])
      expect(await names([lower, entries])).toEqual(['d', 'd/new', 'd/sub', 'd/sub/new', 'e'])
  })

  test('a directory that comes back after its whiteout does not get its old mode back', async () => {
    const { tree } = await unpack([
      [{ ...dir('d'), mode: 0o700 }, file('d/a')],
      [file('d/new'), { name: '.wh.d' }],
    ])
    expect(tree['d']).toMatch(/^d 755 /)
  })

  test('a directory taken away and replaced by a link does not pass its mode on through the link', async () => {
    const { target } = await unpack([
      [dir('x'), { ...dir('x/b'), mode: 0o755 }, { ...dir('a'), mode: 0o700 }, { ...dir('a/b'), mode: 0o700 }],
      [{ name: '.wh.a' }],
      [link('a', 'x')],
    ])
    expect(statSync(path.join(target, 'x/b')).mode & 0o777).toBe(0o755)
  })

  test.each<[string, RawEntry]>([
    ['hides nothing', { name: '.wh.' }],
    ['hides its directory', { name: 'd/.wh..' }],
    ['hides the directory above', { name: 'd/.wh...' }],
    ['is reserved and undefined', { name: '.wh..wh.plnk' }],
    ['has content', { name: '.wh.e', body: 'x' }],
    ['is a directory', dir('.wh.e')],
    ['is a link', link('.wh.e', '/etc')],
    ['has something below it', file('.wh.d/a')],
    ['is opaque and has content', { name: 'd/.wh..wh..opq', body: 'x' }],
  ])('one that %s is refused', async (_why, entry) => {
    await expect(unpack([lower, [entry]])).rejects.toMatchObject({ code: 'unpack.whiteout', entry: entry.name })
  })
})

describe('H09 what gives power', () => {
  const fifo: RawEntry = { name: 'pipe', type: '6' }
  const device: RawEntry = { name: 'null', type: '3', device: [1, 3], mode: 0o666 }
  const setuid: RawEntry = { ...file('su'), mode: 0o6755 }
  const capable: RawEntry = { ...file('ping'), pax: [['SCHILY.xattr.security.capability', Buffer.from([1, 0, 0, 2])]] }

  test('devices and FIFOs are refused, setuid bits and attributes left out and reported', async () => {
    await expect(unpack([[fifo]])).rejects.toMatchObject({ code: 'unpack.special', entry: 'pipe' })
    await expect(unpack([[device]])).rejects.toMatchObject({ code: 'unpack.special', entry: 'null' })
    await expect(unpack([[{ name: 'sda', type: '4', device: [8, 0] }]])).rejects.toMatchObject({
      code: 'unpack.special',
    })
    const { tree, report } = await unpack([[setuid, capable, { ...dir('mail'), mode: 0o2775 }]])
    expect(tree['su']).toMatch(/^f 755 /)
    expect(tree['mail']).toMatch(/^d 2775 /)
    expect(report.dropped).toEqual([
      { entry: 'su', what: 'setuid' },
      { entry: 'ping', what: 'xattr' },
    ])
  })

  test('a profile can refuse or drop each of them', async () => {
    const refuseAll = { devices: 'refuse', fifos: 'refuse', setuid: 'refuse', xattrs: 'refuse' } as const
    await expect(unpack([[setuid]], { profile: refuseAll })).rejects.toMatchObject({
      code: 'unpack.special',
      entry: 'su',
    })
    await expect(unpack([[capable]], { profile: refuseAll })).rejects.toMatchObject({
      code: 'unpack.xattr',
      entry: 'ping',
    })
    const dropAll = { devices: 'drop', fifos: 'drop', setuid: 'drop', xattrs: 'drop' } as const
    const { tree, report } = await unpack([[fifo, device, setuid, capable]], { profile: dropAll })
    expect(Object.keys(tree)).toEqual(['ping', 'su'])
    expect(report.droppedCount).toBe(4)
  })

  test('attributes that overlayfs reads are refused by every profile', async () => {
    for (const name of ['trusted.overlay.redirect', 'user.overlay.opaque'])
      await expect(
        unpack([[{ ...dir('d'), pax: [[`SCHILY.xattr.${name}`, '/etc']] }]], { profile: FAITHFUL }),
      ).rejects.toMatchObject({ code: 'unpack.xattr' })
  })

  test('a machine without setfattr refuses an image whose attributes must be kept', async () => {
    const PATH = process.env['PATH']
    process.env['PATH'] = '/nonexistent'
    try {
      await expect(unpack([[capable]], { profile: FAITHFUL })).rejects.toMatchObject({
        code: 'unpack.xattr',
        message: expect.stringContaining('"attr"'),
      })
    } finally {
      process.env['PATH'] = PATH
    }
  })

  test.runIf(isRoot)(
    'the faithful profile makes devices, FIFOs and setuid files, also under names that are no UTF-8',
    async () => {
      const { tree } = await unpack(
        [[fifo, device, setuid, { name: Buffer.from([0xfe]), type: '6', mode: 0o640, uid: 5 }]],
        { profile: FAITHFUL },
      )
      expect(tree['su']).toMatch(/^f 6755 /)
      expect(tree['pipe']).toMatch(/^p 644 /)
      expect(tree['null']).toMatch(new RegExp(`^s 666 0:0 t1000000000 dev ${(1 << 8) + 3}$`))
      expect(tree['\xfe']).toMatch(/^p 640 5:0 /)
    },
  )

  test('whoever unpacks keeps all files where owners are squashed', async () => {
    const me = `${process.getuid?.()}:${process.getgid?.()}`
    const { tree } = await unpack([[{ ...file('a'), uid: 4321, gid: 1234 }]], { ownership: 'squash' })
    expect(tree['a']).toContain(` ${me} `)
  })

  test('a directory that nobody may enter is filled first and closed last', async () => {
    const { tree } = await unpack([[{ ...dir('.'), mode: 0o711 }, { ...dir('d'), mode: 0 }, file('d/a')]])
    expect(tree['d']).toMatch(/^d 0 .* t1000000000$/)
    expect(tree['d/a']).toBeDefined()
  })
})

describe('H10 what costs too much', () => {
  const zeros = (length: number) => rawTar([{ name: 'zeros', body: new Uint8Array(length) }])
  const gzip = (tar: Uint8Array): RawLayer => ({ tar, blob: zlib.gzipSync(tar), mediaType: MEDIA.layerGzip })
  const zstd = (tar: Uint8Array): RawLayer => ({ tar, blob: zlib.zstdCompressSync(tar), mediaType: MEDIA.layerZstd })

  test.each<[string, Parameters<typeof unpack>[0], UnpackOptions['limits'], string]>([
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
