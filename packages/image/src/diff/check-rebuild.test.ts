import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { type BuildRequest, buildImage } from '../build/build-image.ts'
import { ImageLayout } from '../layout/layout.ts'
import { MEDIA } from '../oci/media-types.ts'
import { rawTar, type RawEntry } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { checkRebuild } from './check-rebuild.ts'

const fresh = scratchSpace('rebuild')

function sources(): string {
  const root = fresh()
  mkdirSync(path.join(root, 'bin'), { recursive: true })
  writeFileSync(path.join(root, 'bin/run'), '#!/bin/sh\n')
  chmodSync(path.join(root, 'bin/run'), 0o755)
  writeFileSync(path.join(root, 'readme'), 'read me')
  return root
}
const request = (directory: string): BuildRequest => ({
  layers: [{ kind: 'directory', directory }],
  config: { entrypoint: ['/bin/run'] },
})
async function claim(directory: string, more: Partial<BuildRequest> = {}) {
  const layout = fresh()
  const { digest } = await buildImage({ ...request(directory), ...more }, layout)
  return { source: await ImageLayout.open(layout), digest }
}

test('CS-03 H23 sources that make the image give yes', async () => {
  const root = sources()
  expect(await checkRebuild(request(root), await claim(root))).toMatchObject({
    same: true,
    causes: [],
    layers: [],
    diff: { same: true },
  })
})

test.each<[string, (root: string) => void, object]>([
  [
    'another content',
    (root) => writeFileSync(path.join(root, 'bin/run'), '#!/bin/su\n'),
    { entry: 'bin/run', what: 'content' },
  ],
  [
    'another mode',
    (root) => chmodSync(path.join(root, 'bin/run'), 0o644),
    { entry: 'bin/run', what: 'mode', claimed: '755', rebuilt: '644' },
  ],
  ['a file less', (root) => rmSync(path.join(root, 'bin/run')), { entry: 'bin/run', what: 'missing' }],
  ['a file more', (root) => writeFileSync(path.join(root, 'bin/more'), ''), { entry: 'bin/more', what: 'added' }],
])('H23 sources with %s give no, and the entry', async (_what, change, expected) => {
  const root = sources()
  const claimed = await claim(root)
  change(root)
  const answer = await checkRebuild(request(root), claimed)
  expect(answer.same).toBe(false)
  expect(answer.layers).toEqual([expect.objectContaining({ layer: 0, ...expected })])
  expect(answer.causes.length).toBeGreaterThan(0)
})

test('H23 times, owners and order of another builder are named', async () => {
  const root = sources()
  const files: RawEntry[] = [
    { name: 'bin/', type: '5', mtime: 0 },
    { name: 'bin/run', body: '#!/bin/sh\n', mode: 0o755, mtime: 0 },
    { name: 'readme', body: 'read me', mtime: 0 },
  ]
  const foreign = async (entries: readonly RawEntry[]) => {
    const layout = fresh()
    const { digest } = writeRawImage(layout, [{ tar: rawTar(entries) }])
    return (await checkRebuild(request(root), { source: await ImageLayout.open(layout), digest })).layers[0]
  }
  expect(await foreign(files.map((entry) => ({ ...entry, mtime: 7 })))).toMatchObject({
    entry: 'bin/',
    what: 'time',
    claimed: '7.000000000',
  })
  expect(await foreign(files.map((entry) => ({ ...entry, uid: 1000 })))).toMatchObject({
    what: 'owner',
    claimed: '1000:0',
  })
  const pax = [['SCHILY.xattr.security.capability', 'x']] as const
  expect(await foreign([files[0]!, { ...files[1]!, pax }, files[2]!])).toMatchObject({
    entry: 'bin/run',
    what: 'attributes',
    claimed: 'security.capability=78',
  })
  expect(await foreign([files[2]!, files[0]!, files[1]!])).toMatchObject({
    what: 'order',
    claimed: 'readme',
    rebuilt: 'bin/',
  })
  expect(await foreign(files.map((entry) => ({ ...entry, magic: 'ustar  \0' })))).toMatchObject({ what: 'encoding' })
  const holed = (map: string) => {
    const sparse = [['GNU.sparse.size', '10'] as const, ['GNU.sparse.map', map] as const]
    return foreign([files[0]!, { ...files[1]!, pax: sparse }, files[2]!])
  }
  expect(await holed('0,10')).toMatchObject({ entry: 'bin/run', what: 'sparse', claimed: 'yes', rebuilt: 'no' })
})

test('H23 two sparse files of the same bytes in other places are no same content', async () => {
  const at = (map: string): RawEntry => ({
    name: 'f',
    body: 'ab',
    pax: [
      ['GNU.sparse.size', '9'],
      ['GNU.sparse.map', map],
    ],
  })
  const layer = (map: string) => {
    const directory = fresh()
    const { digest } = writeRawImage(directory, [{ tar: rawTar([at(map)]) }])
    return ImageLayout.open(directory).then((source) => ({ source, digest }))
  }
  const [one, two] = [await layer('0,2'), await layer('7,2')]
  const answer = await checkRebuild({ layers: [], config: {}, base: two }, one)
  expect(answer.layers).toEqual([expect.objectContaining({ entry: 'f', what: 'content' })])
})

test('H23 a layer compressed anew is told apart from a layer changed', async () => {
  const root = sources()
  const { source, digest } = await claim(root)
  const blob = []
  const manifest = JSON.parse(new TextDecoder().decode((await source.readManifest(digest, 1e6)).bytes))
  for await (const chunk of source.openBlob(manifest.layers[0])) blob.push(chunk)
  const tar = Buffer.concat(blob)
  const layout = fresh()
  const repacked = writeRawImage(layout, [{ tar, blob: zlib.gzipSync(tar), mediaType: MEDIA.layerGzip }], {
    config: { Cmd: undefined, Entrypoint: ['/bin/run'] },
  })
  const answer = await checkRebuild(request(root), { source: await ImageLayout.open(layout), digest: repacked.digest })
  expect(answer).toMatchObject({
    same: false,
    layers: [],
    diff: { layers: { kept: 1, repacked: 1 }, files: { total: 0 } },
  })
  expect(answer.causes[0]).toContain('compressor')
})

test('H23 a changed setting is named', async () => {
  const root = sources()
  const answer = await checkRebuild(
    { ...request(root), config: { entrypoint: ['/bin/run', '--debug'] } },
    await claim(root),
  )
  expect(answer.causes).toEqual(['entrypoint: claimed ["/bin/run"], rebuilt ["/bin/run","--debug"]'])
})
