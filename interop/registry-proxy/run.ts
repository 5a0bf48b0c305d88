import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  buildImage,
  ImageError,
  ImageLayout,
  parseReference,
  proxyFromEnvironment,
  pushImage,
  RegistryClient,
  type RegistryHost,
  unpackImage,
} from '@vouchsafe/image'
import { TestProxy } from '../../packages/image/src/testing/proxy.ts'
import { DockerRegistry, makeCertificates } from '../image-registry/peers.ts'
import { PASSWORD, squid, type StockProxy, tinyproxy, USER } from './proxies.ts'

/*
 * Peers: Debian's tinyproxy and squid in front of Debian's docker-registry, and skopeo beside us under the same
 * environment. Loopback is never asked of a proxy, so the registry lies at this machine's own address.
 */
const address = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
if (address === undefined) throw new Error('this machine has no address besides loopback')
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-interop-'))
let count = 0
const fresh = () => path.join(scratch, `d${count++}`)
const certificates = fresh()
makeCertificates(certificates, address)
const pem = (name: string) => readFileSync(path.join(certificates, name), 'utf8')
const secured: RegistryHost = {
  privateNetwork: true,
  certificateAuthorities: [pem('ca.crt')],
  clientCertificate: { certificate: pem('client.cert'), key: pem('client.key') },
}
const plain: RegistryHost = { privateNetwork: true, plainHttp: true }
const tls = `, tls: {certificate: ${certificates}/server.cert, key: ${certificates}/server.key, clientcas: [${certificates}/ca.crt]}`
const byTls = await DockerRegistry.start(fresh(), { address, tls })
const byHttp = await DockerRegistry.start(fresh(), { address })
const hosts = { [byTls.host]: secured, [byHttp.host]: plain }

const clients: RegistryClient[] = []
function client(environment: Record<string, string>, more: Record<string, RegistryHost> = {}): RegistryClient {
  const proxy = proxyFromEnvironment(environment)
  const made = new RegistryClient({ hosts: { ...hosts, ...more }, proxy, retry: { attempts: 3, firstDelayMs: 20 } })
  clients.push(made)
  return made
}
function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
async function refused(action: Promise<unknown>, code: string, about: string): Promise<void> {
  const error = await action.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  const told = error instanceof ImageError ? `${error.code}: ${error.message}` : String(error)
  assert(error instanceof ImageError && error.code === code && told.includes(about), `wanted ${code}, got ${told}`)
  assert(!told.includes(PASSWORD), 'the password is told')
}
function skopeoExit(environment: Record<string, string>, reference: string): Promise<number | null> {
  const { PATH } = process.env
  const env = { PATH, HOME: scratch, ...environment }
  const args = ['inspect', '--raw', '--tls-verify=false', `docker://${reference}`]
  const child = spawn('skopeo', args, { env, stdio: 'ignore', timeout: 30_000 })
  return new Promise((resolve) => child.once('exit', resolve))
}

const directory = fresh()
const files = [{ kind: 'file', path: 'run', bytes: new Uint8Array(3_000_000).fill(7), mode: 0o755 }] as const
const { digest } = await buildImage(
  { layers: [{ kind: 'files', files }], config: { entrypoint: ['/run'] }, name: 'v1' },
  directory,
)
const layout = await ImageLayout.open(directory)
async function goesAndComes(c: RegistryClient, registry: string, name: string): Promise<void> {
  await pushImage(layout, digest, c.endpoint({ registry, path: name }), { tag: 'v1', chunkBytes: 1_000_000 })
  const pinned = await c.pin(parseReference(`${registry}/${name}:v1`))
  assert(pinned.digest === digest, 'another digest')
  await unpackImage(c.reader(pinned.asked), digest, fresh())
}
const portOf = (host: string) => host.split(':')[1] ?? ''

const STOCK: readonly (readonly [string, (directory: string, port: string) => Promise<StockProxy>])[] = [
  ['tinyproxy', tinyproxy],
  ['squid', squid],
]
/** Settings of NO_PROXY, each with hosts: that we ask the proxy where skopeo does is all that is compared. */
const NAMES = ['registry.example', 'a.registry.example', 'aregistry.example', '10.9.8.7', 'xn--bcher-kva.example']
const SETTINGS = [
  '',
  '*',
  'registry.example',
  '.registry.example',
  '*.registry.example',
  'Registry.EXAMPLE , other',
  'registry.example other',
  'registry.example:PORT',
  'registry.example:1',
  'example',
  '10.0.0.0/8',
  '10.9.8.7',
  '10.9.8.7:PORT',
  '10.9.8.7:1',
  '11.0.0.0/8,0.0.0.0/33',
  'bücher.example',
  ':PORT',
]

const CASES: readonly (readonly [string, () => Promise<string | void>])[] = [
  ...STOCK.flatMap(([name, start]) => [
    [
      `${name}: to a registry by TLS with own roots and client certificates, as a user of the proxy`,
      async () => {
        const proxy = await start(fresh(), portOf(byTls.host))
        try {
          const c = client({ HTTPS_PROXY: `http://${USER}@${proxy.host}` })
          await goesAndComes(c, byTls.host, `${name}/tls`)
          c.close() // squid writes of a tunnel when it ends
          for (let tries = 0; !proxy.log().includes(`CONNECT ${byTls.host}`); tries++) {
            assert(tries < 100, 'the proxy was not asked')
            await delay(50)
          }
          await refused(
            client({ https_proxy: `http://me:wrong@${proxy.host}` }).pin(parseReference(`${byTls.host}/a:v1`)),
            'proxy.denied',
            name === 'tinyproxy' ? '401' : '407',
          )
          await refused(
            client({ HTTPS_PROXY: `http://${USER}@${proxy.host}` }, { [`${address}:1`]: secured }).pin(
              parseReference(`${address}:1/a:v1`),
            ),
            'proxy.denied',
            '403',
          )
        } finally {
          await proxy.stop()
        }
        await refused(
          client({ HTTPS_PROXY: `http://${USER}@${proxy.host}` }).pin(parseReference(`${byTls.host}/a:v1`)),
          'proxy.unavailable',
          'ECONNREFUSED',
        )
      },
    ] as const,
    [
      `${name}: to a registry in plain HTTP, in absolute form`,
      async () => {
        const proxy = await start(fresh(), portOf(byHttp.host))
        try {
          await goesAndComes(client({ http_proxy: `${USER}@${proxy.host}` }), byHttp.host, `${name}/plain`)
        } finally {
          await proxy.stop()
        }
      },
    ] as const,
    [
      `${name}: a registry that is not there`,
      async () => {
        const proxy = await start(fresh(), '1')
        try {
          const gone = `${address}:1`
          await refused(
            client({ HTTPS_PROXY: `http://${USER}@${proxy.host}` }, { [gone]: secured }).pin(
              parseReference(`${gone}/a:v1`),
            ),
            'proxy.unavailable',
            '50',
          )
        } finally {
          await proxy.stop()
        }
      },
    ] as const,
  ]),
  [
    `skopeo and we ask the proxy for the same hosts, by ${SETTINGS.length} settings of NO_PROXY`,
    async () => {
      let asked = 0
      for (const setting of SETTINGS)
        for (const name of NAMES) {
          const proxy = await new TestProxy().start()
          proxy.lie = (near) => (near.end('HTTP/1.1 403 Forbidden\r\n\r\n'), true)
          proxy.answer = (_request, response) => void response.writeHead(403).end()
          const registry = `${name}:5000`
          const environment = {
            HTTPS_PROXY: proxy.url(),
            HTTP_PROXY: proxy.url(),
            NO_PROXY: setting.replace('PORT', '5000'),
          }
          await client(environment, { [registry]: { privateNetwork: true } })
            .pin(parseReference(`${registry}/a:v1`), AbortSignal.timeout(300))
            .catch(() => undefined)
          const ours = proxy.seen.length > 0
          proxy.seen.length = 0
          await skopeoExit(environment, `${registry}/a:v1`)
          const theirs = proxy.seen.length > 0
          proxy.close()
          assert(
            ours === theirs,
            `NO_PROXY=${setting}, ${registry}: skopeo ${theirs ? 'asks' : 'does not ask'} the proxy`,
          )
          if (ours) asked++
        }
      return `${asked} of ${SETTINGS.length * NAMES.length} through the proxy`
    },
  ],
]

let passed = 0
let failed = 0
try {
  for (const [name, run] of CASES)
    try {
      const remark = await run()
      passed++
      console.log(`ok    ${name}${remark === undefined ? '' : `: ${remark}`}`)
    } catch (error) {
      failed++
      console.log(`FAIL  ${name}: ${(error as Error).message}`)
    }
} finally {
  for (const c of clients) c.close()
  await Promise.all([byTls.kill(), byHttp.kill()])
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
