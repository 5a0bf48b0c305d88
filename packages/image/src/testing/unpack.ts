import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { ImageLayout } from '../layout/layout.ts'
import { unpackImage, type UnpackOptions } from '../unpack/unpack-image.ts'
import { rawTar, type RawEntry } from './archive.ts'
import { type RawLayer, writeRawImage } from './image.ts'
import { listTree } from './listing.ts'

export type Layers = readonly (readonly RawEntry[] | RawLayer)[]

/**
 * Unpacks hand-made layers into a directory that lies beside a canary, and demands each time that the canary is as it
 * was and that nothing but the target appeared.
 */
export async function unpackRaw(place: string, layers: Layers, options: UnpackOptions = {}) {
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

export const dir = (name: string): RawEntry => ({ name, type: '5' })
export const file = (name: string, body = name): RawEntry => ({ name, body })
export const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target })
export const hard = (name: string, target: string): RawEntry => ({ name, type: '1', link: target })
