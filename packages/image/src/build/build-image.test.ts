import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { blobPath, ImageLayout } from '../layout/layout.ts'
import { LayoutWriter, putDocument } from '../layout/write-layout.ts'
import { resolveImage } from '../oci/chain.ts'
import { MEDIA } from '../oci/media-types.ts'
import { type BuildRequest, buildImage } from './build-image.ts'
import { launchPolicyLabels, loadsCode } from './launch-labels.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-build-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
let count = 0
const fresh = () => path.join(scratch, `d${count++}`)
const linux = { os: 'linux', architecture: 'amd64' }

/** The same content in another place, made in another order, with other times, owner bits and link counts. */
function checkout(variant: 0 | 1): string {
  const root = fresh()
  mkdirSync(path.join(root, 'lib/deep'), { recursive: true })
  const files: [string, string, number][] = [
    ['main.sh', '#!/bin/sh\necho hello\n', 0o755],
    ['lib/a', 'a', 0o644],
    ['lib/b', 'a', 0o644],
    ['lib/deep/ünïcode', 'x'.repeat(1500), 0o644],
    [`lib/${'long'.repeat(40)}`, '', 0o644],
  ]
  for (const [name, text, mode] of variant === 0 ? files : files.toReversed()) {
    const file = path.join(root, name)
    if (variant === 1 && name === 'lib/a') linkSync(path.join(root, 'lib/b'), file)
    else writeFileSync(file, text)
    chmodSync(file, variant === 0 ? mode : mode & ~0o077)
    utimesSync(file, variant * 1e6, variant * 1e6)
  }
  symlinkSync('main.sh', path.join(root, 'run'))
  return root
}

const request = (directory: string, more: Partial<BuildRequest> = {}): BuildRequest => ({
  layers: [{ kind: 'directory', directory, at: '/app' }],
  config: {
    entrypoint: ['/app/main.sh'],
    env: { B: '2', A: '1' },
    labels: launchPolicyLabels({ logRedirect: 'never' }),
    user: '1000',
  },
  ...more,
})

test.each(['none', 'gzip', 'zstd'] as const)(
  'CS-03 H23 two checkouts at two paths and times give one digest, %s',
  async (compression) => {
    const first = await buildImage(request(checkout(0), { compression }), fresh())
    const second = await buildImage(request(checkout(1), { compression }), fresh())
    expect(second.digest).toBe(first.digest)
  },
)

test('H23 the uncompressed form has this digest on every machine', async () => {
  const { digest } = await buildImage(
    {
      layers: [{ kind: 'files', files: [{ kind: 'file', path: '/hello', bytes: new TextEncoder().encode('hi\n') }] }],
      config: { entrypoint: ['/hello'] },
    },
    fresh(),
  )
  expect(digest).toMatchInlineSnapshot(`"sha256:92cdcc51aa02d06f3809b5f3ec54ccaa5b294e99d780c216a51e383c9bb5721a"`)
})

test('a build tells how far it is, layer by layer, up to the last byte', async () => {
  const told: [number, number][] = []
  const large = new Uint8Array(3_000_000)
  const layers = [large, new Uint8Array(1)].map((bytes) => ({
    kind: 'files' as const,
    files: [{ kind: 'file' as const, path: '/a', bytes }],
  }))
  const { layers: built } = await buildImage(
    { layers, config: {}, onBytes: (position, bytes) => told.push([position, bytes]) },
    fresh(),
  )
  expect(built.map((_, i) => Math.max(...told.filter(([at]) => at === i).map(([, bytes]) => bytes)))).toEqual(
    built.map(({ descriptor }) => descriptor.size),
  )
})

test('one changed byte, mode or label gives another digest', async () => {
  const digests = new Set<string>()
  const root = checkout(0)
  digests.add((await buildImage(request(root), fresh())).digest)
  chmodSync(path.join(root, 'lib/a'), 0o755)
  digests.add((await buildImage(request(root), fresh())).digest)
  writeFileSync(path.join(root, 'lib/b'), 'b')
  digests.add((await buildImage(request(root), fresh())).digest)
  digests.add(
    (await buildImage(request(root, { config: { entrypoint: ['/app/main.sh'], labels: { a: 'b' } } }), fresh())).digest,
  )
  expect(digests.size).toBe(4)
})

test('the layer is a plain tar with fixed owner, time and order, as GNU tar reads it', async () => {
  const layout = fresh()
  const { layers } = await buildImage(request(checkout(0)), layout)
  const listing = execFileSync(
    'tar',
    ['--utc', '--full-time', '--numeric-owner', '-tvf', blobPath(layout, layers[0]!.descriptor.digest)],
    { encoding: 'utf8', env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] } },
  )
  expect(
    listing
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' ')),
  ).toEqual([
    'drwxr-xr-x 0/0 0 1970-01-01 00:00:00 app/lib/',
    '-rw-r--r-- 0/0 1 1970-01-01 00:00:00 app/lib/a',
    '-rw-r--r-- 0/0 1 1970-01-01 00:00:00 app/lib/b',
    'drwxr-xr-x 0/0 0 1970-01-01 00:00:00 app/lib/deep/',
    '-rw-r--r-- 0/0 1500 1970-01-01 00:00:00 app/lib/deep/ünïcode',
    `-rw-r--r-- 0/0 0 1970-01-01 00:00:00 app/lib/${'long'.repeat(40)}`,
    '-rwxr-xr-x 0/0 21 1970-01-01 00:00:00 app/main.sh',
    'lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 app/run -> main.sh',
  ])
})

test('a base is pinned by digest, its layers kept and its configuration merged', async () => {
  const baseDir = fresh()
  const base = await buildImage(
    {
      layers: [{ kind: 'files', files: [{ kind: 'file', path: 'etc/base', bytes: new Uint8Array([1]) }] }],
      config: {
        entrypoint: ['/bin/old'],
        args: ['x'],
        env: { PATH: '/bin', KEEP: 'k' },
        labels: { one: '1', two: '2' },
      },
      name: 'base',
    },
    baseDir,
  )
  const source = await ImageLayout.open(baseDir)
  const out = fresh()
  const built = await buildImage(
    {
      layers: [{ kind: 'files', files: [{ kind: 'file', path: 'app', bytes: new Uint8Array([2]), mode: 0o755 }] }],
      config: { entrypoint: ['/app'], env: { PATH: '/usr/bin', NEW: 'n' }, labels: { two: 'second' } },
      base: { source, digest: base.digest },
    },
    out,
  )
  const image = await resolveImage(await ImageLayout.open(out), built.digest, { platform: linux })
  expect(image.layers.map((layer) => layer.diffId)).toEqual([base.layers[0]!.diffId, built.layers[1]!.diffId])
  expect(image.config.execution).toMatchObject({
    entrypoint: ['/app'],
    args: [],
    env: ['KEEP=k', 'PATH=/usr/bin', 'NEW=n'],
  })
  expect(Object.fromEntries(image.config.execution.labels)).toEqual({ one: '1', two: 'second' })
})

test('the layers of a base as Docker describes it get the names that an OCI manifest has for them', async () => {
  const out = fresh()
  const writer = await LayoutWriter.open(out)
  const files = [{ kind: 'file', path: 'base', bytes: new Uint8Array([1]) }] as const
  const plain = await buildImage({ layers: [{ kind: 'files', files }], config: {}, compression: 'gzip' }, out)
  const { digest, size } = plain.layers[0]!.descriptor
  const docker = await putDocument(writer, MEDIA.dockerManifest, {
    schemaVersion: 2,
    mediaType: MEDIA.dockerManifest,
    config: { mediaType: MEDIA.dockerConfig, digest: plain.config.digest, size: plain.config.size },
    layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', digest, size }],
  })
  const source = await ImageLayout.open(out)
  const built = await buildImage({ layers: [], config: {}, base: { source, digest: docker.digest }, name: 'v1' }, out)
  const { manifest } = await resolveImage(await ImageLayout.open(out), built.digest, { platform: linux })
  expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual([MEDIA.layerGzip])
})

test('a base with a changed layer byte is refused, and nothing is listed', async () => {
  const baseDir = fresh()
  const base = await buildImage(request(checkout(0)), baseDir)
  const blob = blobPath(baseDir, base.layers[0]!.descriptor.digest)
  writeFileSync(blob, readFileSync(blob).fill(7, 600, 601))
  const out = fresh()
  const source = await ImageLayout.open(baseDir)
  await expect(
    buildImage({ ...request(checkout(0)), base: { source, digest: base.digest } }, out),
  ).rejects.toMatchObject({
    code: 'digest.mismatch',
  })
  expect((await ImageLayout.open(out)).index.manifests).toEqual([])
  expect(readdirSync(path.join(out, 'blobs/sha256'))).toEqual([])
})

test.each([
  ['climbs', { kind: 'file', path: '../x', bytes: new Uint8Array() }],
  ['would delete in a lower layer', { kind: 'file', path: 'a/.wh.b', bytes: new Uint8Array() }],
  ['has a mode beyond 07777', { kind: 'file', path: 'a', bytes: new Uint8Array(), mode: 0o100644 }],
] as const)('refuses a file whose path or mode %s', async (_why, file) => {
  await expect(buildImage({ layers: [{ kind: 'files', files: [file] }], config: {} }, fresh())).rejects.toMatchObject({
    code: 'build.input',
  })
})

test.each([
  ['a directory that is not there', { kind: 'directory', directory: '/nonexistent' }, '/nonexistent'],
  ['a file in the place of a directory', { kind: 'directory', directory: import.meta.filename }, 'build-image.test.ts'],
  ['a copy of nothing', { kind: 'files', files: [{ kind: 'copy', path: 'a', from: '/nonexistent' }] }, '/nonexistent'],
  ['a link to nowhere', { kind: 'files', files: [{ kind: 'symlink', path: 'a', target: '' }] }, 'nowhere'],
] as const)('refuses %s by its own error', async (_why, layer, named) => {
  await expect(buildImage({ layers: [layer], config: {} }, fresh())).rejects.toMatchObject({
    code: 'build.input',
    message: expect.stringContaining(named),
  })
})

test('a variable that the base sets twice is set by the build in both places: readers differ on which one counts', async () => {
  const out = fresh()
  const writer = await LayoutWriter.open(out)
  const config = await putDocument(writer, MEDIA.config, {
    ...linux,
    config: { Env: ['PATH=/a', 'MODE=old', 'MODE=older'] },
    rootfs: { type: 'layers', diff_ids: [] },
  })
  const { mediaType, digest, size } = config
  const base = { schemaVersion: 2, mediaType: MEDIA.manifest, config: { mediaType, digest, size }, layers: [] }
  const manifest = await putDocument(writer, MEDIA.manifest, base)
  const source = await ImageLayout.open(out)
  const env = { MODE: 'new', A: '1' }
  const built = await buildImage({ layers: [], config: { env }, base: { source, digest: manifest.digest } }, out)
  const image = await resolveImage(source, built.digest, { platform: linux })
  expect(image.config.execution.env).toEqual(['PATH=/a', 'MODE=new', 'MODE=new', 'A=1'])
})

test.each(['0/tcp', '65536', '99999/udp', '80/icmp', '080'])('refuses %s, which is no port', async (port) => {
  await expect(buildImage({ layers: [], config: { exposedPorts: [port] } }, fresh())).rejects.toMatchObject({
    code: 'build.input',
    message: expect.stringContaining('8080/tcp'),
  })
})

test('refuses two files of one path, a FIFO in the directory, and a member that the configuration does not have', async () => {
  const file = { kind: 'file', path: 'a', bytes: new Uint8Array() } as const
  await expect(
    buildImage({ layers: [{ kind: 'files', files: [file, file] }], config: {} }, fresh()),
  ).rejects.toMatchObject({ code: 'build.input', entry: 'a' })
  await expect(
    buildImage({ layers: [{ kind: 'files', files: [file, { ...file, path: 'a/b/c' }] }], config: {} }, fresh()),
  ).rejects.toMatchObject({ code: 'build.input', entry: 'a/b/c' })
  const root = checkout(0)
  execFileSync('mkfifo', [path.join(root, 'pipe')])
  await expect(buildImage(request(root), fresh())).rejects.toMatchObject({ code: 'build.input', entry: 'app/pipe' })
  await expect(buildImage({ layers: [], config: { cmd: [] } as object }, fresh())).rejects.toMatchObject({
    code: 'build.input',
    message: expect.stringMatching(/cmd/),
  })
})

test('H15 warns when an allow list names a variable that is as good as code', async () => {
  const { warnings } = await buildImage(
    { layers: [], config: { labels: launchPolicyLabels({ allowEnvOverride: ['RUNS', 'LD_PRELOAD'] }) } },
    fresh(),
  )
  expect(warnings).toEqual([expect.stringContaining('LD_PRELOAD')])
})

test.each([
  ['LD_AUDIT', 'GLIBC_TUNABLES', 'BASH_FUNC_ls%%', 'PYTHONUSERBASE', 'DOTNET_STARTUP_HOOKS', 'LUA_INIT_5_4'],
  ['HOSTALIASES', 'RES_OPTIONS', 'SSLKEYLOGFILE', 'REQUESTS_CA_BUNDLE', 'https_proxy', 'node_options'],
])('H15 %s and %s and the like are as good as code', (...names) => {
  expect(names.filter((name) => !loadsCode(name))).toEqual([])
})

test('H15 what programs are told by other names is not', () => {
  const told = ['RUNS', 'PYTHONUNBUFFERED', 'LANG', 'TZ', 'HOME', 'NODE_ENV', 'MY_PATH', 'PATHS', 'LD', 'GOMAXPROCS']
  expect(told.filter(loadsCode)).toEqual([])
})
