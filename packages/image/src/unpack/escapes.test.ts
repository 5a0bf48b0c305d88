import { readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { ImageLayout } from '../layout/layout.ts'
import { rawTar, type RawEntry } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { dir, file, hard, type Layers, link, unpackRaw } from '../testing/unpack.ts'
import { unpackImage, type UnpackOptions } from './unpack-image.ts'

const fresh = scratchSpace('unpack')
const unpack = (layers: Layers, options?: UnpackOptions) => unpackRaw(fresh(), layers, options)
const names = async (layers: Layers) => Object.keys((await unpack(layers)).tree)

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
      message: expect.stringMatching(/beside .*: (ENOENT|ENOTDIR)/),
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

  test('is refused with its name: a file over a lower directory that this layer has put something deep below', async () => {
    await expect(unpack([[file('a/x')], [file('a/b/c'), file('a')]])).rejects.toMatchObject({
      code: 'unpack.duplicate',
      entry: 'a',
    })
  })

  test('is allowed for a directory described equally, or first only implied', async () => {
    expect(await names([[dir('a'), dir('a/')]])).toEqual(['a'])
    const { tree } = await unpack([[file('a/b'), { ...dir('a'), mode: 0o700 }]])
    expect(tree['a']).toMatch(/^d 700 /)
  })
})
