import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import { ImageLayout } from '../layout/layout.ts'
import { LayoutWriter } from '../layout/write-layout.ts'
import { readVerified, resolveImage } from '../oci/chain.ts'
import { copyToLayout } from '../registry/transfer.ts'
import { rawTar, type RawEntry } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { ArchiveFiles } from './archive-files.ts'
import { DockerArchive } from './docker-archive.ts'
import { writeArchive } from './write-archive.ts'

const fresh = scratchSpace('archive')
const platform = { os: 'linux', architecture: 'amd64' }
const hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const layerTar = (text: string) => rawTar([{ name: 'hello', body: text }])
const [lower, upper] = [layerTar('lower'), layerTar('upper')]
const isRefused = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

function written(entries: readonly RawEntry[] | Uint8Array): string {
  const file = fresh()
  writeFileSync(file, entries instanceof Uint8Array ? entries : rawTar(entries))
  return file
}

function layout() {
  const directory = fresh()
  const image = writeRawImage(directory, [
    { tar: lower },
    { tar: upper, blob: gzipSync(upper), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
  ])
  return { directory, ...image }
}

/** A layout's files as entries, in an order of no meaning. */
const entriesOf = (directory: string): RawEntry[] =>
  [
    'index.json',
    ...readdirSync(path.join(directory, 'blobs/sha256')).map((name) => `blobs/sha256/${name}`),
    'oci-layout',
  ].map((name) => ({ name: `./${name}`, body: readFileSync(path.join(directory, name)) }))

/** As `docker save` did before version 25: a directory for each layer, the second image's lowest a link to the first's. */
function saved(change: { config?: object; layers?: string[]; tags?: string[] | null; files?: RawEntry[] } = {}) {
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/hello'] },
      rootfs: { type: 'layers', diff_ids: [lower, upper].map((tar) => `sha256:${hex(tar)}`) },
      ...change.config,
    }),
  )
  const manifest = [
    {
      Config: `${hex(config)}.json`,
      RepoTags: change.tags === undefined ? ['app:v1'] : change.tags,
      Layers: change.layers ?? ['a/layer.tar', 'b/layer.tar'],
    },
  ]
  return [
    { name: 'a/', type: '5' },
    { name: 'a/layer.tar', body: lower },
    { name: 'b/layer.tar', body: upper },
    { name: 'c/layer.tar', type: '2', link: '../a/layer.tar' },
    { name: `${hex(config)}.json`, body: config },
    { name: 'manifest.json', body: JSON.stringify(manifest) },
    ...(change.files ?? []),
  ]
}

test('a layout in an archive is read where it is, and gives the same image', async () => {
  const { directory, digest } = layout()
  const archive = await ImageLayout.openArchive(written(entriesOf(directory)))
  expect(archive.find('v1').digest).toBe(digest)
  const [a, b] = [archive, await ImageLayout.open(directory)]
  const [one, other] = [await resolveImage(a, digest, { platform }), await resolveImage(b, digest, { platform })]
  expect(one).toEqual(other)
  for (const { descriptor } of one.layers)
    expect(await readVerified(a, descriptor, 1e6, 'layer')).toEqual(await readVerified(b, descriptor, 1e6, 'layer'))
})

test('H06 what an archive holds in place of a blob is found by its digest, one byte more too', async () => {
  const { directory, layerDigests } = layout()
  for (const [bytes, message] of [
    [Buffer.alloc(lower.length), /content is/],
    [Buffer.concat([lower, Buffer.alloc(1)]), /longer/],
    [lower.subarray(0, -1), /bytes, the descriptor says/],
  ] as const) {
    const entries = entriesOf(directory).map((entry) =>
      String(entry.name).endsWith(hex(lower)) ? { ...entry, body: bytes } : entry,
    )
    const archive = await ImageLayout.openArchive(written(entries))
    const blob = { digest: layerDigests[0]!, size: lower.length }
    await expect(readVerified(archive, blob, 1e6, 'layer')).rejects.toEqual(isRefused('digest.mismatch', message))
  }
})

test.each<[string, (entries: RawEntry[]) => RawEntry[] | Uint8Array, string, RegExp]>([
  ['compressed as a whole', (entries) => gzipSync(rawTar(entries)), 'archive.malformed', /unpack it first: gunzip/],
  ['not an archive', () => Buffer.alloc(2048, 'x'), 'tar.malformed', /./],
  ['empty', () => Buffer.alloc(0), 'archive.malformed', /empty/],
  ['cut short', (entries) => rawTar(entries).subarray(0, 700), 'tar.truncated', /./],
  [
    'with a name twice',
    (entries) => [...entries, { name: 'index.json', body: '{}' }],
    'archive.malformed',
    /a name twice/,
  ],
  [
    'with a name that leads elsewhere',
    (entries) => [...entries, { name: 'blobs/../index.json', body: '' }],
    'archive.malformed',
    /stand for itself/,
  ],
  [
    'with an absolute name',
    (entries) => [...entries, { name: '/index.json', body: '' }],
    'archive.malformed',
    /stand for itself/,
  ],
  [
    'with a hard link',
    (entries) => [...entries, { name: 'x', type: '1', link: 'index.json' }],
    'archive.malformed',
    /a hardlink/,
  ],
  ['with a device', (entries) => [...entries, { name: 'x', type: '3' }], 'archive.malformed', /a character-device/],
  [
    'with a sparse file',
    (entries) => [
      ...entries,
      {
        name: 'x',
        body: 'x',
        pax: [
          ['GNU.sparse.map', '0,1'],
          ['GNU.sparse.size', '1'],
          ['GNU.sparse.numblocks', '1'],
        ],
      },
    ],
    'archive.malformed',
    /sparse/,
  ],
  [
    'with a name longer than any',
    (entries) => [...entries, { name: 'x', pax: [['path', 'n'.repeat(4097)]] }],
    'archive.malformed',
    /a name of 4097 bytes/,
  ],
  [
    'with a link longer than any',
    (entries) => [...entries, { name: 'x', type: '2', pax: [['linkpath', 'n'.repeat(4097)]] }],
    'archive.malformed',
    /a name of 4097 bytes/,
  ],
  ['without index.json', (entries) => entries.slice(1), 'layout.missing', /no index.json/],
  [
    'whose index.json is a link',
    (entries) => [...entries.slice(1), { name: 'index.json', type: '2', link: 'oci-layout' }],
    'layout.missing',
    /no index.json/,
  ],
  [
    'with a document that is too large',
    (entries) => [...entries.slice(1), { name: 'index.json', body: Buffer.alloc(5 * 1024 * 1024) }],
    'document.too-large',
    /d\d+: index\.json: \d+ bytes, at most/,
  ],
])('H07 H08 an archive is refused that is %s', async (_why, change, code, message) => {
  const file = written(change(entriesOf(layout().directory)))
  await expect(ImageLayout.openArchive(file)).rejects.toEqual(isRefused(code, message))
})

test('H10 an archive of more entries than any image has is refused', async () => {
  const many = Array.from({ length: 65_537 }, (_, i) => ({ name: `d${i}`, type: '5' }))
  await expect(ImageLayout.openArchive(written(many))).rejects.toEqual(
    isRefused('archive.malformed', /more than 65536/),
  )
})

test('a place that is no file of ours is named for what it is', async () => {
  const directory = fresh()
  mkdirSync(directory)
  await expect(ImageLayout.openArchive(directory)).rejects.toEqual(isRefused('archive.malformed', /a directory/))
  await expect(ImageLayout.openArchive(fresh())).rejects.toEqual(isRefused('layout.missing', /no such file/))
  await expect(ImageLayout.openArchive('/dev/null')).rejects.toEqual(isRefused('archive.malformed', /regular file/))
})

test('what docker saved becomes an image over its own configuration and layers, always the same', async () => {
  const source = await DockerArchive.open(written(saved({ tags: ['app:v1', 'registry.example/app'] })))
  expect(source.images).toEqual([
    { digest: expect.any(String), names: ['docker.io/library/app:v1', 'registry.example/app:latest'] },
  ])
  const digest = source.find('app:v1')
  expect([source.find('registry.example/app'), (await DockerArchive.open(written(saved()))).find('app:v1')]).toEqual([
    digest,
    digest,
  ])
  expect(() => source.find('app')).toThrow(
    isRefused('layout.missing', /library\/app:latest; there is docker.io\/library\/app:v1/),
  )
  const writer = await LayoutWriter.open(fresh())
  await copyToLayout(source, digest, writer, { name: 'v1' })
  const copied = await resolveImage(await ImageLayout.open(writer.directory), digest, { platform })
  expect(copied.layers.map(({ diffId, form }) => [diffId, form.compression])).toEqual([
    [`sha256:${hex(lower)}`, 'none'],
    [`sha256:${hex(upper)}`, 'none'],
  ])
})

test('a saved layer may be a link to one beside it, or compressed', async () => {
  const config = { rootfs: { type: 'layers', diff_ids: [lower, upper].map((tar) => `sha256:${hex(tar)}`) } }
  const files = [{ name: 'z.tar.gz', body: gzipSync(upper) }]
  const source = await DockerArchive.open(written(saved({ config, layers: ['c/layer.tar', 'z.tar.gz'], files })))
  const { layers } = await resolveImage(source, source.find('app:v1'), { platform })
  expect(layers.map(({ form }) => form.compression)).toEqual(['none', 'gzip'])
  expect(await readVerified(source, layers[0]!.descriptor, 1e6, 'layer')).toEqual(new Uint8Array(lower))
})

test('H10 a layer that many links lead to is read once', async () => {
  const links = Array.from({ length: 50 }, (_, i) => `link${i}`)
  const config = { rootfs: { type: 'layers', diff_ids: links.map(() => `sha256:${hex(lower)}`) } }
  const files = links.map((name) => ({ name, type: '2', link: 'a/layer.tar' }))
  const file = written(saved({ config, layers: links, files }))
  using reading = vi.spyOn(ArchiveFiles.prototype, 'read')
  expect((await DockerArchive.open(file)).images).toHaveLength(1)
  // manifest.json, the configuration, the layer
  expect(reading).toHaveBeenCalledTimes(3)
})

test('an archive of docker from version 25 on, a layout with manifest.json beside, is the same image both ways', async () => {
  const { directory, digest } = layout()
  const own = JSON.parse(readFileSync(path.join(directory, 'blobs/sha256', digest.slice(7)), 'utf8')) as {
    readonly config: { readonly digest: string }
    readonly layers: readonly { readonly digest: string }[]
  }
  const blob = (name: string) => `blobs/sha256/${name.slice(7)}`
  const manifest = {
    Config: blob(own.config.digest),
    RepoTags: ['app:v1'],
    Layers: own.layers.map((layer) => blob(layer.digest)),
    LayerSources: Object.fromEntries(own.layers.map((layer) => [layer.digest, layer])),
  }
  const file = written([
    { name: 'blobs/', type: '5' },
    ...entriesOf(directory),
    { name: 'manifest.json', body: JSON.stringify([manifest]) },
    { name: 'repositories', body: '{}' },
  ])
  const [one, other] = [await ImageLayout.openArchive(file), await DockerArchive.open(file)]
  const images = [
    await resolveImage(one, one.find('v1').digest, { platform }),
    await resolveImage(other, other.find('app:v1'), { platform }),
  ]
  const [inLayout, saved25] = images.map(({ configDigest, layers }) => [
    configDigest,
    layers.map(({ diffId }) => diffId),
  ])
  expect(saved25).toEqual(inLayout)
})

test.each<[string, RawEntry[], string, RegExp]>([
  [
    'whose layer is another',
    saved({ layers: ['b/layer.tar', 'a/layer.tar'] }),
    'digest.mismatch',
    /its configuration says/,
  ],
  ['that lacks a layer', saved({ layers: ['a/layer.tar', 'd/layer.tar'] }), 'layout.missing', /no file d\/layer.tar/],
  [
    'with fewer layers than its configuration',
    saved({ layers: ['a/layer.tar'] }),
    'chain.layers',
    /lists 2 layers, manifest.json 1/,
  ],
  [
    'whose configuration is not the one that its name says',
    saved().map((entry) =>
      /^\w{64}\.json$/.test(String(entry.name)) ? { ...entry, body: `${String(entry.body)} ` } : entry,
    ),
    'digest.mismatch',
    /configuration \w{64}.json is/,
  ],
  [
    'with a link that leads out',
    saved({ layers: ['a/layer.tar', 'e'], files: [{ name: 'e', type: '2', link: '../../../etc/passwd' }] }),
    'layout.missing',
    /no file e/,
  ],
  [
    'with a name twice in a document',
    [...saved().slice(0, -1), { name: 'manifest.json', body: '[{"Config":"a","Config":"b"}]' }],
    'document.malformed',
    /manifest.json/,
  ],
  [
    'that lists nothing',
    [...saved().slice(0, -1), { name: 'manifest.json', body: '[]' }],
    'document.malformed',
    /no images/,
  ],
  ['without manifest.json', saved().slice(0, -1), 'layout.missing', /no file manifest.json/],
])('H06 what docker saved is refused %s', async (_why, entries, code, message) => {
  await expect(DockerArchive.open(written(entries))).rejects.toEqual(isRefused(code, message))
})

test('H06 a file that changes after the archive was opened is found', async () => {
  const file = written(saved())
  const source = await DockerArchive.open(file)
  writeFileSync(file, readFileSync(file).fill(1, 512 + 512, 512 + 512 + lower.length))
  await expect(copyToLayout(source, source.find('app:v1'), await LayoutWriter.open(fresh()))).rejects.toMatchObject({
    code: 'digest.mismatch',
  })
})

test('CS-03 a layout is packed into the same bytes each time, and reads as the same image', async () => {
  const { directory, digest } = layout()
  mkdirSync(path.join(directory, '.staging'))
  writeFileSync(path.join(directory, '.staging/left'), 'half')
  const [one, two] = [fresh(), fresh()]
  await writeArchive(directory, one)
  await writeArchive(directory, two)
  expect(readFileSync(one).equals(readFileSync(two))).toBe(true)
  expect((await ImageLayout.openArchive(one)).find('v1').digest).toBe(digest)
  expect(readFileSync(one).includes('.staging')).toBe(false)
})

test('what is no part of a layout does not get into its archive by a link', async () => {
  const { directory } = layout()
  const [elsewhere, place] = [fresh(), fresh()]
  mkdirSync(place)
  writeFileSync(elsewhere, 'private'.repeat(100))
  symlinkSync(elsewhere, path.join(directory, 'blobs/sha256', 'a'.repeat(64)))
  await expect(writeArchive(directory, path.join(place, 'image.tar'))).rejects.toEqual(
    isRefused('layout.malformed', /a{64}: not a regular file/),
  )
  expect(readdirSync(place)).toEqual([])
})

test('a file of a layout that is cut short while it is packed leaves no archive', async () => {
  const { directory } = layout()
  const blobs = path.join(directory, 'blobs/sha256')
  const place = fresh()
  mkdirSync(place)
  // looked at after each piece: two files of three pieces, two directories, the header of the first blob
  let pieces = 0
  const cutting = {
    get aborted() {
      if (++pieces === 9) truncateSync(path.join(blobs, readdirSync(blobs).sort()[0]!), 1)
      return false
    },
  } as AbortSignal
  await expect(writeArchive(directory, path.join(place, 'image.tar'), cutting)).rejects.toEqual(
    isRefused('layout.malformed', /shorter than it was/),
  )
  expect(readdirSync(place)).toEqual([])
})

test('an archive is never written over what is there, and nothing is left of one that was ended', async () => {
  const { directory } = layout()
  const place = fresh()
  mkdirSync(place)
  const file = path.join(place, 'image.tar')
  await expect(writeArchive(directory, file, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
  expect(readdirSync(place)).toEqual([])
  symlinkSync('nowhere', file)
  await expect(writeArchive(directory, file)).rejects.toMatchObject({ code: 'archive.exists' })
  expect([existsSync(path.join(place, 'nowhere')), readdirSync(place)]).toEqual([false, ['image.tar']])
})
