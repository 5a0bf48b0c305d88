import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { RawEntry } from '../testing/archive.ts'
import { listTree } from '../testing/listing.ts'
import { canMount, mounted, withoutLinks } from '../testing/mount.ts'
import { fresh, image, openStore, request } from '../testing/pull.ts'
import { stacksLikeUnpacking } from '../testing/stack-property.ts'
import { dir, file, hard, link } from '../testing/unpack.ts'
import { FAITHFUL, HARDENED } from '../unpack/profile.ts'
import { unpackImage } from '../unpack/unpack-image.ts'
import { pullToStore } from './pull-image.ts'

async function bothWays(layers: readonly (readonly RawEntry[])[]) {
  const { source, digest } = await image(layers)
  const flat = fresh()
  await unpackImage(source, digest, flat, { profile: FAITHFUL })
  const { lowerDirs } = await pullToStore(openStore(), HARDENED, request(source, digest))
  return { flat: listTree(flat), stacked: mounted(lowerDirs) }
}

describe.runIf(canMount)('a stack of snapshots, mounted by the kernel, is the tree that unpacking gives', () => {
  const lower = [
    { ...dir('d'), mode: 0o750 },
    file('d/a'),
    file('d/b'),
    dir('d/sub'),
    file('d/sub/c'),
    file('e'),
    link('l', 'd'),
    hard('d/h', 'd/a'),
  ]
  test.each<[string, RawEntry[][]]>([
    ['whiteouts', [lower, [{ name: 'd/.wh.a' }, { name: '.wh.e' }]]],
    ['a whiteout of a directory', [lower, [{ name: '.wh.d' }]]],
    ['a directory that is hidden and comes back', [lower, [{ name: '.wh.d' }, file('d/new')], [file('d/newer')]]],
    ['a directory that comes back before it is hidden', [lower, [file('d/new'), dir('d/sub'), { name: '.wh.d' }]]],
    ['a deep directory of its own before the whiteout above it', [lower, [file('d/new/deep/f'), { name: '.wh.d' }]]],
    ['an opaque directory', [lower, [dir('d'), { name: 'd/.wh..wh..opq' }, file('d/new')]]],
    ['an opaque directory with a part kept by this layer', [lower, [file('d/sub/new'), { name: 'd/.wh..wh..opq' }]]],
    [
      'whiteouts inside what is then hidden itself',
      [lower, [{ name: 'd/.wh.a' }, { name: 'd/sub/.wh.c' }, { name: '.wh.d' }]],
    ],
    ['a file for a directory and a directory for a file', [lower, [file('d'), dir('e'), file('e/x')]]],
    ['a link for a directory', [lower, [link('d', 'e')]]],
    ['a whiteout, then the same name', [lower, [{ name: '.wh.e' }, file('e', 'new')], [{ name: '.wh.e' }]]],
    ['a file through a link of a lower layer', [lower, [file('l/through')]]],
    [
      'a directory of a lower layer that is only passed through',
      [[{ ...dir('tmp'), mode: 0o1777 }], [file('tmp/x')], [file('tmp/y')]],
    ],
    ['a hard link to a file of a lower layer', [lower, [hard('twin', 'd/sub/c')]]],
    ['a hard link to a link of a lower layer', [lower, [hard('twin', 'l')]]],
    ['a hard link to a lower file that is then hidden', [lower, [hard('twin', 'e'), { name: '.wh.e' }]]],
    [
      'a hard link into a directory that is then replaced',
      [lower, [hard('twin', 'd/sub/c'), { name: '.wh.d' }, file('d', 'file')]],
    ],
    ['a root with a mode of its own', [[{ ...dir('.'), mode: 0o711 }], [file('x')]]],
    ['the same layer twice', [[file('x')], [{ name: '.wh.x' }], [file('x')]]],
  ])('%s', async (_name, layers) => {
    const { flat, stacked } = await bothWays(layers)
    expect(withoutLinks(stacked)).toEqual(withoutLinks(flat))
  })

  test('H09 something left out still hides what it would have replaced', async () => {
    const profile = { ...HARDENED, fifos: 'drop' } as const
    const { source, digest } = await image([
      [file('a', 'below'), file('d/b')],
      [
        { name: 'a', type: '6' },
        { name: 'd', type: '6' },
      ],
    ])
    const flat = fresh()
    await unpackImage(source, digest, flat, { profile })
    const { lowerDirs } = await pullToStore(openStore(fresh(), profile), profile, request(source, digest))
    expect(listTree(flat)).toEqual({})
    expect(mounted(lowerDirs)).toEqual({})
  })

  test('H09 files and directories that are made again keep their attributes, where the profile keeps any', async () => {
    const tagged = (entry: RawEntry, value: string): RawEntry => ({ ...entry, pax: [['SCHILY.xattr.user.tag', value]] })
    const { source, digest } = await image([
      [tagged(dir('.'), 'root'), tagged(dir('d'), 'directory'), tagged(file('d/tool'), 'odd\n= \\\0')],
      [hard('d/twin', 'd/tool'), file('d/more')],
    ])
    const { lowerDirs } = await pullToStore(openStore(fresh(), FAITHFUL), FAITHFUL, request(source, digest))
    const [upper = '', lower = ''] = lowerDirs
    const hex = (place: string) =>
      execFileSync('getfattr', ['-d', '-e', 'hex', '--absolute-names', place], { encoding: 'utf8' }).split('\n')[1]
    const tag = (text: string) => `user.tag=0x${Buffer.from(text).toString('hex')}`
    expect(hex(lower)).toBe(tag('root'))
    expect(hex(`${upper}/d`)).toBe(tag('directory'))
    for (const name of ['tool', 'twin']) expect(hex(`${upper}/d/${name}`)).toBe(tag('odd\n= \\\0'))
  })

  test('whatever the layers do', async () => {
    await stacksLikeUnpacking({ seed: 11, numRuns: 12 })
  })
})
