import { mkdirSync, mkdtempSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { expect } from 'vitest'
import { ImageError } from '../errors.ts'
import { ImageLayout } from '../layout/layout.ts'
import { MEDIA } from '../oci/media-types.ts'
import { FAITHFUL, HARDENED } from '../unpack/profile.ts'
import { unpackImage } from '../unpack/unpack-image.ts'
import { rawTar, type RawEntry } from './archive.ts'
import { type RawLayer, writeRawImage } from './image.ts'
import { listTree } from './listing.ts'

const segment = fc.constantFrom(
  'a',
  'b',
  'A',
  'á',
  'a\u0301',
  '..',
  '.',
  '',
  'canary',
  'outside',
  '.wh.a',
  '.wh..wh..opq',
  '.wh.',
  '.wh...',
  'x'.repeat(120),
  '\xff',
)
const place = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.constantFrom('a', 'b', 'l', 'd'), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join('/')),
  },
  { weight: 3, arbitrary: fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '../outside/canary',
      '/outside',
      '../../outside/canary',
      '/etc/passwd',
      '/proc/self/cwd',
      './',
      'l/canary',
      'l/../outside/new',
    ),
  },
)
/** Entries that climb, alias, hide, replace and link, some of them well formed. */
const entry: fc.Arbitrary<RawEntry> = fc
  .record({
    name: place,
    type: fc.constantFrom('0', '0', '0', '5', '5', '2', '2', '1', '3', '6', 'S', '7', 'q'),
    link: fc.oneof(place, fc.constantFrom('../outside', '/', '..', '../outside/canary', 'a/../../outside')),
    body: fc.constantFrom('', '', 'x', 'y'.repeat(600)),
    mode: fc.constantFrom(0o644, 0o755, 0, 0o7777),
    long: fc.boolean(),
  })
  .map(({ name, type, link, body, mode, long }) => ({
    name,
    type,
    mode,
    ...('12'.includes(type) ? { link } : {}),
    ...(type === '0' ? { body } : {}),
    ...(long ? { pax: [['path', name] as const] } : {}),
  }))

interface Recipe {
  readonly entries: readonly RawEntry[]
  /** Bytes of the archive to change, most often none. */
  readonly changes: readonly (readonly [at: number, value: number])[]
  readonly form: 'none' | 'gzip' | 'zstd'
  /** A byte of the stored blob to change, bytes of its end to cut off. */
  readonly damage: readonly [at: number, value: number] | null
  readonly cut: number | null
}

const byte = fc.tuple(fc.nat(5000), fc.nat(255))
/** Most often nothing: an image with damage everywhere is refused before anything interesting happens. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 15, arbitrary: fc.constant(null) }, { weight: 1, arbitrary })
const recipe: fc.Arbitrary<Recipe> = fc.record({
  entries: fc.array(entry, { minLength: 1, maxLength: 9 }),
  changes: fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(byte, { minLength: 1, maxLength: 4 }) },
  ),
  form: fc.constantFrom('none', 'gzip', 'zstd'),
  damage: seldom(byte),
  cut: seldom(fc.nat(3000)),
})

function bake({ entries, changes, form, damage, cut }: Recipe): RawLayer {
  const tar = rawTar(entries)
  for (const [at, value] of changes) tar[at % tar.length] = value
  const blob = form === 'gzip' ? zlib.gzipSync(tar) : form === 'zstd' ? zlib.zstdCompressSync(tar) : Buffer.from(tar)
  if (damage !== null) blob[damage[0] % blob.length] = damage[1]
  const mediaType = form === 'gzip' ? MEDIA.layerGzip : form === 'zstd' ? MEDIA.layerZstd : MEDIA.layer
  return {
    tar,
    blob: cut === null ? blob : blob.subarray(0, Math.max(1, blob.length - (cut % blob.length))),
    mediaType,
  }
}

/** The image's layout, the target, and the private directory that it is staged in. */
const OURS = /^(?:layout\d+|target|target\.staging-[A-Za-z0-9]{6})$/

/**
 * Unpacks random hostile images. Each ends in a tree or in an `ImageError`; what lies beside the target is compared
 * after each, and watched all the time.
 *
 * @returns How many unpacked, and how many were refused by which code.
 */
export async function unpackHostile(runs: fc.Parameters<unknown>): Promise<ReadonlyMap<string, number>> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-hostile-'))
  const outside = path.join(scratch, 'outside')
  mkdirSync(path.join(outside, 'deeper'), { recursive: true })
  writeFileSync(path.join(outside, 'canary'), 'untouched')
  const touched: string[] = []
  const watchers = [
    watch(outside, { recursive: true }, (event, name) => touched.push(`outside, ${event} ${name}`)),
    // and beside the target: whatever gets a name there that is none of ours, for however short a time
    watch(scratch, (event, name) => {
      if (!OURS.test(name ?? '')) touched.push(`beside the target, ${event} ${name}`)
    }),
  ]
  const before = listTree(outside)
  const outcomes = new Map<string, number>()
  let count = 0
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(recipe, { minLength: 1, maxLength: 3 }), fc.boolean(), async (recipes, faithful) => {
        // root would make the devices; what is tried here are paths
        const profile = { ...(faithful ? FAITHFUL : HARDENED), devices: 'drop', xattrs: 'drop' } as const
        // an entry that is refused is left out, so that the ones behind it have their turn
        for (let rest: readonly Recipe[] | undefined = recipes; rest !== undefined;) {
          const layout = path.join(scratch, `layout${count++}`)
          const target = path.join(scratch, 'target')
          const { digest } = writeRawImage(layout, rest.map(bake))
          const refusal = await unpackImage(await ImageLayout.open(layout), digest, target, { profile }).then(
            () => undefined,
            (error: unknown) => error,
          )
          if (refusal !== undefined && !(refusal instanceof ImageError)) throw refusal
          const outcome = refusal?.code ?? 'unpacked'
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
          rmSync(target, { recursive: true, force: true })
          rmSync(layout, { recursive: true, force: true })
          expect(listTree(outside)).toEqual(before)
          expect(readdirSync(scratch)).toEqual(['outside'])
          rest = refusal?.entry === undefined ? undefined : without(rest, refusal.entry)
        }
      }),
      runs,
    )
    await new Promise((resolve) => setTimeout(resolve, 100)) // the watcher's last words
    expect(touched).toEqual([])
    return outcomes
  } finally {
    for (const watcher of watchers) watcher.close()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** `undefined` when no entry has that name, as when its bytes were changed. */
function without(recipes: readonly Recipe[], entry: string): readonly Recipe[] | undefined {
  const rest = recipes.map((one) => ({ ...one, entries: one.entries.filter(({ name }) => name !== entry) }))
  const count = (all: readonly Recipe[]) => all.reduce((sum, one) => sum + one.entries.length, 0)
  return count(rest) < count(recipes) ? rest : undefined
}
