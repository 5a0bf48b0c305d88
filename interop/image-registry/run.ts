import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  buildImage,
  type Compression,
  copyToLayout,
  type Credentials,
  type Digest,
  digestOf,
  ImageLayout,
  LayoutWriter,
  listReferrers,
  MEDIA,
  parseReference,
  pushImage,
  putManifest,
  RegistryClient,
  type RegistryHost,
  unpackImage,
  uploadBlob,
} from '@vouchsafe/image'
import { listTree } from '../../packages/image/src/testing/listing.ts'
import { DockerRegistry, FaultyProxy, makeCertificates, RefusingFront } from './peers.ts'

/*
 * Peers: Debian's docker-registry (no referrers API: the fallback tag is used) and skopeo. Images go both ways with the
 * same digest; connections are broken on purpose; credentials, own roots and client certificates are those of a real
 * server.
 */
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-interop-'))
let count = 0
const fresh = () => path.join(scratch, `d${count++}`)
const local: RegistryHost = { plainHttp: true, privateNetwork: true }
const clients: RegistryClient[] = []
function client(hosts: Record<string, RegistryHost>, credentials?: Credentials): RegistryClient {
  const made = new RegistryClient({
    hosts,
    retry: { attempts: 8, firstDelayMs: 20, maxDelayMs: 200 },
    ...(credentials === undefined ? {} : { credentials: () => credentials }),
  })
  clients.push(made)
  return made
}
function skopeo(...args: string[]): string {
  return execFileSync('skopeo', ['--insecure-policy', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

const noise = randomBytes(9_000_000)
async function build(compression: Compression = 'none', name = 'v1') {
  const directory = fresh()
  const files = [
    { kind: 'file', path: 'bin/run', bytes: noise, mode: 0o755 },
    { kind: 'file', path: 'etc/small', bytes: new TextEncoder().encode('x') },
    { kind: 'symlink', path: 'sh', target: 'bin/run' },
  ] as const
  const request = {
    layers: [{ kind: 'files', files }],
    config: { entrypoint: ['/bin/run'] },
    compression,
    name,
  } as const
  const { digest } = await buildImage(request, directory)
  return { directory, digest, layout: await ImageLayout.open(directory) }
}
async function pullAndUnpack(
  c: RegistryClient,
  text: string,
): Promise<{ digest: Digest; tree: Record<string, string> }> {
  const pinned = await c.pin(parseReference(text))
  const target = fresh()
  await unpackImage(c.reader(pinned.asked), pinned.digest, target)
  return { digest: pinned.digest, tree: listTree(target) }
}
async function unpacked(layout: ImageLayout, digest: Digest): Promise<Record<string, string>> {
  const target = fresh()
  await unpackImage(layout, digest, target)
  return listTree(target)
}
const same = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b)

const registry = await DockerRegistry.start(fresh())
const at = { [registry.host]: local }

const CASES: readonly (readonly [string, () => Promise<string | void>])[] = [
  ...(['none', 'gzip', 'zstd'] as const).map(
    (compression) =>
      [
        `pushed by us, pulled by skopeo, ${compression}`,
        async () => {
          const { digest, layout } = await build(compression)
          await pushImage(
            layout,
            digest,
            client(at).endpoint({ registry: registry.host, path: `ours/${compression}` }),
            { tag: 'v1', chunkBytes: 2_000_000 },
          )
          const copied = fresh()
          skopeo(
            'copy',
            '--preserve-digests',
            '--src-tls-verify=false',
            `docker://${registry.host}/ours/${compression}:v1`,
            `oci:${copied}:v1`,
          )
          const theirs = await ImageLayout.open(copied)
          assert(theirs.find('v1').digest === digest, 'another digest')
          assert(same(await unpacked(theirs, digest), await unpacked(layout, digest)), 'another tree')
        },
      ] as const,
  ),
  ...(['oci', 'v2s2'] as const).map(
    (format) =>
      [
        `pushed by skopeo, pulled by us, format ${format}`,
        async () => {
          const { directory, digest, layout } = await build('gzip')
          skopeo(
            'copy',
            '--dest-tls-verify=false',
            '--format',
            format,
            `oci:${directory}:v1`,
            `docker://${registry.host}/theirs/${format}:v1`,
          )
          const pulled = await pullAndUnpack(client(at), `${registry.host}/theirs/${format}:v1`)
          if (format === 'oci') assert(pulled.digest === digest, 'another digest')
          assert(same(pulled.tree, await unpacked(layout, digest)), 'another tree')
        },
      ] as const,
  ),
  [
    'an index for two platforms, both ways',
    async () => {
      const directory = fresh()
      const writer = await LayoutWriter.open(directory)
      const manifests = []
      for (const architecture of ['amd64', 'arm64']) {
        const platform = { os: 'linux', architecture }
        const files = [{ kind: 'file', path: 'arch', bytes: new TextEncoder().encode(architecture) }] as const
        const { manifest } = await buildImage({ layers: [{ kind: 'files', files }], config: {}, platform }, directory)
        manifests.push({ mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size, platform })
      }
      const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests }))
      const content = await writer.putBytes(bytes)
      await writer.addToIndex({ mediaType: MEDIA.index, ...content, annotations: new Map() }, 'all')
      const c = client(at)
      await pushImage(
        await ImageLayout.open(directory),
        content.digest,
        c.endpoint({ registry: registry.host, path: 'multi' }),
        { tag: 'all' },
      )
      const copied = fresh()
      skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        '--src-tls-verify=false',
        `docker://${registry.host}/multi:all`,
        `oci:${copied}:all`,
      )
      assert((await ImageLayout.open(copied)).find('all').digest === content.digest, 'another digest')
      const pinned = await c.pin(parseReference(`${registry.host}/multi:all`))
      const back = await LayoutWriter.open(fresh())
      await copyToLayout(c.reader(pinned.asked), pinned.digest, back, { name: 'all' })
      for (const architecture of ['amd64', 'arm64']) {
        const target = fresh()
        await unpackImage(c.reader(pinned.asked), pinned.digest, target, { platform: { os: 'linux', architecture } })
        assert(readFileSync(path.join(target, 'arch'), 'utf8') === architecture, `not ${architecture}`)
      }
    },
  ],
  [
    'a push whose connections break, both ways, until it is through',
    async () => {
      const { digest, layout } = await build()
      const budgets = [1_200_000, 400_000, 2_500_000, 90_000, 3_000_000]
      let next = 0
      const proxy = await new FaultyProxy(registry.host, (way) =>
        way === 'up' ? budgets[next++] : next === 3 ? 200 : undefined,
      ).start()
      try {
        await pushImage(
          layout,
          digest,
          client({ [proxy.host]: local }).endpoint({ registry: proxy.host, path: 'broken/push' }),
          { tag: 'v1', chunkBytes: 1_000_000 },
        )
        assert(proxy.faults >= 4, `only ${proxy.faults} faults`)
      } finally {
        proxy.stop()
      }
      const pulled = await pullAndUnpack(client(at), `${registry.host}/broken/push:v1`)
      assert(pulled.digest === digest && same(pulled.tree, await unpacked(layout, digest)), 'another image')
      return `${proxy.faults} connections broken`
    },
  ],
  [
    'a pull whose connections break, until it is through',
    async () => {
      const { digest, layout } = await build()
      await pushImage(layout, digest, client(at).endpoint({ registry: registry.host, path: 'broken/pull' }), {
        tag: 'v1',
      })
      const budgets = [50_000, 2_000_000, 100, 3_000_000, 700_000]
      const proxy = await new FaultyProxy(registry.host, (way) =>
        way === 'down' ? budgets.shift() : undefined,
      ).start()
      try {
        const pulled = await pullAndUnpack(client({ [proxy.host]: local }), `${proxy.host}/broken/pull:v1`)
        assert(pulled.digest === digest && same(pulled.tree, await unpacked(layout, digest)), 'another image')
        assert(proxy.faults >= 4, `only ${proxy.faults} faults`)
      } finally {
        proxy.stop()
      }
      return `${proxy.faults} connections broken`
    },
  ],
  [
    'a push during which the registry is killed and comes back',
    async () => {
      const own = await DockerRegistry.start(fresh())
      try {
        const { digest, layout } = await build()
        const endpoint = client({ [own.host]: local }).endpoint({ registry: own.host, path: 'killed' })
        let kills = 0
        const pushing = pushImage(layout, digest, endpoint, {
          tag: 'v1',
          chunkBytes: 1_000_000,
          onProgress: ({ bytes }) => {
            if (kills > 0 || bytes < 4_000_000) return
            kills++
            void own.kill().then(() => own.run())
          },
        })
        await pushing
        assert(kills === 1, 'was not killed')
        const pulled = await pullAndUnpack(client({ [own.host]: local }), `${own.host}/killed:v1`)
        assert(pulled.digest === digest, 'another digest')
      } finally {
        await own.kill()
      }
    },
  ],
  [
    'a blob mounted from another repository',
    async () => {
      const { digest, layout } = await build()
      const c = client(at)
      await pushImage(layout, digest, c.endpoint({ registry: registry.host, path: 'mount/from' }), { tag: 'v1' })
      const manifest = JSON.parse(new TextDecoder().decode((await layout.readManifest(digest, 1e6)).bytes)) as {
        layers: { digest: Digest; size: number }[]
      }
      const [layer] = manifest.layers
      assert(layer !== undefined, 'no layer')
      const source = {
        content: layer as { digest: Digest; size: number },
        open: () => layout.openBlob(layer as { digest: Digest; size: number }),
      }
      const result = await uploadBlob(c.endpoint({ registry: registry.host, path: 'mount/to' }), source, {
        mountFrom: 'mount/from',
      })
      assert(result === 'mounted', `was ${result}`)
    },
  ],
  ...([404, 405, 416, 501] as const).map(
    (status) =>
      [
        `a push to a registry that answers ${status} to chunks, and mounts nothing`,
        async () => {
          const { digest, layout } = await build()
          const front = await new RefusingFront(registry.host, ({ method, url }) =>
            method === 'PATCH' || url?.includes('mount=') === true ? status : undefined,
          ).start()
          const path = `whole/${status}`
          try {
            const endpoint = client({ [front.host]: local }).endpoint({ registry: front.host, path })
            await pushImage(layout, digest, endpoint, { tag: 'v1', mountFrom: 'mount/from', chunkBytes: 1_000_000 })
            assert(front.refused >= 2, `only ${front.refused} refused`)
          } finally {
            front.stop()
          }
          const pulled = await pullAndUnpack(client(at), `${registry.host}/${path}:v1`)
          assert(pulled.digest === digest && same(pulled.tree, await unpacked(layout, digest)), 'another image')
          return `${front.refused} requests refused`
        },
      ] as const,
  ),
  [
    'referrers without the API, by the fallback tag',
    async () => {
      const { digest, layout } = await build()
      const endpoint = client(at).endpoint({ registry: registry.host, path: 'referrers' })
      await pushImage(layout, digest, endpoint, { tag: 'v1' })
      const empty = new TextEncoder().encode('{}')
      const config = { digest: digestOf(empty), size: 2 }
      await uploadBlob(endpoint, {
        content: config,
        open: async function* () {
          yield empty
        },
      })
      const subject = { mediaType: MEDIA.manifest, digest, size: layout.find('v1').size }
      for (const artifactType of ['application/one', 'application/two']) {
        const bytes = new TextEncoder().encode(
          JSON.stringify({
            schemaVersion: 2,
            mediaType: MEDIA.manifest,
            artifactType,
            config: { mediaType: MEDIA.empty, ...config },
            layers: [],
            subject,
          }),
        )
        await putManifest(endpoint, { bytes, mediaType: MEDIA.manifest })
      }
      const types = (await listReferrers(endpoint, digest)).map((entry) => entry.artifactType)
      assert(same(types, ['application/one', 'application/two']), types.join())
      const raw = skopeo(
        'inspect',
        '--raw',
        '--tls-verify=false',
        `docker://${registry.host}/referrers:${digest.replace(':', '-')}`,
      )
      assert((JSON.parse(raw) as { manifests: unknown[] }).manifests.length === 2, 'skopeo sees another list')
    },
  ],
  [
    'a registry that wants a password',
    async () => {
      const directory = fresh()
      mkdirSync(directory, { recursive: true })
      // "secret" by bcrypt, as htpasswd -B writes it
      const line = 'user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n'
      writeFileSync(path.join(directory, 'htpasswd'), line)
      const own = await DockerRegistry.start(directory, {
        auth: `auth: {htpasswd: {realm: interop, path: ${directory}/htpasswd}}`,
      })
      try {
        const { digest, layout } = await build()
        const name = { registry: own.host, path: 'private' }
        for (const [credentials, wanted] of [
          [undefined, 'registry.denied'],
          [{ kind: 'password', username: 'user', password: 'wrong' }, 'registry.denied'],
        ] as const)
          await pushImage(layout, digest, client({ [own.host]: local }, credentials).endpoint(name), {
            tag: 'v1',
          }).then(
            () => assert(false, 'was let in'),
            (error: { code?: string }) => assert(error.code === wanted, String(error)),
          )
        const c = client({ [own.host]: local }, { kind: 'password', username: 'user', password: 'secret' })
        await pushImage(layout, digest, c.endpoint(name), { tag: 'v1' })
        assert((await pullAndUnpack(c, `${own.host}/private:v1`)).digest === digest, 'another digest')
      } finally {
        await own.kill()
      }
    },
  ],
  [
    'a registry with a certificate of its own CA that wants one of ours',
    async () => {
      const certificates = fresh()
      makeCertificates(certificates)
      const tls = `, tls: {certificate: ${certificates}/server.cert, key: ${certificates}/server.key, clientcas: [${certificates}/ca.crt]}`
      const own = await DockerRegistry.start(fresh(), { tls })
      const read = (name: string) => readFileSync(path.join(certificates, name), 'utf8')
      try {
        const { digest, layout } = await build()
        const name = { registry: own.host, path: 'tls' }
        const strict: RegistryHost = { privateNetwork: true, certificateAuthorities: [read('ca.crt')] }
        await pushImage(layout, digest, client({ [own.host]: { privateNetwork: true } }).endpoint(name)).then(
          () => assert(false, 'an unknown CA was taken'),
          () => undefined,
        )
        await pushImage(layout, digest, client({ [own.host]: strict }).endpoint(name)).then(
          () => assert(false, 'no client certificate was wanted'),
          () => undefined,
        )
        const c = client({
          [own.host]: { ...strict, clientCertificate: { certificate: read('client.cert'), key: read('client.key') } },
        })
        await pushImage(layout, digest, c.endpoint(name), { tag: 'v1' })
        assert((await pullAndUnpack(c, `${own.host}/tls:v1`)).digest === digest, 'another digest')
        const copied = fresh()
        skopeo(
          'copy',
          '--preserve-digests',
          '--src-cert-dir',
          path.join(certificates, 'for-skopeo'),
          `docker://${own.host}/tls:v1`,
          `oci:${copied}:v1`,
        )
        assert((await ImageLayout.open(copied)).find('v1').digest === digest, 'skopeo got another digest')
      } finally {
        await own.kill()
      }
    },
  ],
]

let passed = 0
let failed = 0
try {
  for (const [name, run] of CASES) {
    const started = performance.now()
    try {
      const note = await run()
      passed++
      console.log(
        `ok      ${name} (${Math.round(performance.now() - started)} ms${note === undefined ? '' : `, ${note}`})`,
      )
    } catch (error) {
      failed++
      const { message, stderr } = error as Error & { stderr?: string }
      console.log(`FAILED  ${name}\n        ${message.slice(0, 500)} ${stderr?.slice(0, 500) ?? ''}`)
    }
  }
} finally {
  for (const made of clients) made.close()
  await registry.kill()
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
