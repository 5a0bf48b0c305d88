import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { RawEntry } from '../testing/archive.ts'
import { scratchSpace } from '../testing/image.ts'
import { dir, file, type Layers, link, unpackRaw } from '../testing/unpack.ts'
import type { UnpackOptions } from './unpack-image.ts'

const fresh = scratchSpace('unpack')
const unpack = (layers: Layers, options?: UnpackOptions) => unpackRaw(fresh(), layers, options)
const names = async (layers: Layers) => Object.keys((await unpack(layers)).tree)

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
    // also where directories in between are the layer's own, and only implied
    for (const hidden of ['.wh.d', '.wh..wh..opq', 'd/.wh..wh..opq'])
      expect(await names([lower, [file('d/new/deep/f'), { name: hidden }]])).toEqual([
        'd',
        'd/new',
        'd/new/deep',
        'd/new/deep/f',
        ...(hidden === '.wh..wh..opq' ? [] : ['e']),
      ])
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
