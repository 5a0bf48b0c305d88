import fc from 'fast-check'
import { expect } from 'vitest'
import { pullToStore } from '../pull/pull-image.ts'
import { SnapshotStore } from '../pull/store.ts'
import { HARDENED } from '../unpack/profile.ts'
import { unpackImage } from '../unpack/unpack-image.ts'
import type { RawEntry } from './archive.ts'
import { listTree } from './listing.ts'
import { acceptable, mounted, withoutLinks } from './mount.ts'
import { fresh, image, request } from './pull.ts'
import { dir, file, hard, link } from './unpack.ts'

/** Random layers over a few names: what the kernel shows of their stack is what unpacking them gives. */
export async function stacksLikeUnpacking(runs: fc.Parameters<unknown>): Promise<void> {
  const name = fc.constantFrom('a', 'b', 'a/b', 'b/a', 'a/b/c', 'l/a')
  const entry = fc.oneof(
    name.map((n): RawEntry => dir(n)),
    name.map((n): RawEntry => file(n)),
    fc.tuple(fc.constantFrom('l', 'a/l'), fc.constantFrom('a', '/b', 'gone')).map(([n, t]): RawEntry => link(n, t)),
    fc.tuple(fc.constantFrom('h', 'b/h'), name).map(([n, t]): RawEntry => hard(n, t)),
    name.map((n): RawEntry => ({ name: n.replace(/([^/]+)$/, '.wh.$1') })),
    fc.constantFrom('.wh..wh..opq', 'a/.wh..wh..opq', 'a/b/.wh..wh..opq').map((n): RawEntry => ({ name: n })),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(entry, { minLength: 1, maxLength: 6, selector: ({ name }) => name }), {
        minLength: 1,
        maxLength: 4,
      }),
      async (random) => {
        const { layers, tree } = await acceptable(random)
        const { source, digest } = await image(layers)
        const store = SnapshotStore.open(fresh(), HARDENED)
        try {
          const { lowerDirs } = await pullToStore(store, HARDENED, request(source, digest))
          expect(withoutLinks(mounted(lowerDirs))).toEqual(withoutLinks(tree))
          // again from the store, with a layer on top: the tree is then made from listings
          const more = await image([...layers, [file('top'), { name: '.wh.a' }]])
          const flat = fresh()
          await unpackImage(more.source, more.digest, flat)
          const again = await pullToStore(store, HARDENED, request(more.source, more.digest))
          expect(again.reusedLayers).toBe(layers.length)
          expect(withoutLinks(mounted(again.lowerDirs))).toEqual(withoutLinks(listTree(flat)))
        } finally {
          store.close()
        }
      },
    ),
    runs,
  )
}
