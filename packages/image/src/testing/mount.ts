import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { unpackImage } from '../unpack/unpack-image.ts'
import type { RawEntry } from './archive.ts'
import { listTree } from './listing.ts'
import { fresh, image } from './pull.ts'

/** Whether this process may mount overlays: then what the kernel shows is compared, not what we think it shows. */
export const canMount = (() => {
  const place = fresh()
  for (const name of ['a', 'b', 'm']) mkdirSync(path.join(place, name), { recursive: true })
  const tried = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${place}/a:${place}/b`, `${place}/m`])
  if (tried.status === 0) spawnSync('umount', [`${place}/m`])
  else
    console.error('SKIPPED: overlay mounts are not possible here, so snapshots are not compared with the kernel’s view')
  return tried.status === 0
})()

export function mounted(lowerDirs: readonly string[]): Record<string, string> {
  const target = fresh()
  mkdirSync(target)
  // overlayfs wants two lower directories at least when there is no upper one
  const empty = fresh()
  mkdirSync(empty)
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${[...lowerDirs, empty].join(':')}`, target])
  try {
    return listTree(target)
  } finally {
    execFileSync('umount', [target])
  }
}

/** Leaves out what is refused, entry by entry, until the rest unpacks. */
export async function acceptable(layers: readonly (readonly RawEntry[])[]) {
  for (let rest = layers; ;) {
    const { source, digest } = await image(rest)
    const flat = fresh()
    try {
      await unpackImage(source, digest, flat)
      return { layers: rest, tree: listTree(flat) }
    } catch (error) {
      const { entry } = error as ImageError
      rest = rest.map((layer) => layer.filter(({ name }) => name !== entry))
    }
  }
}

/** A hard link across layers breaks in a stack, as it does when the kernel copies a file up. */
export const withoutLinks = (tree: Record<string, string>) =>
  Object.fromEntries(Object.entries(tree).map(([name, text]) => [name, text.replace(/ link\d+$/, '')]))
