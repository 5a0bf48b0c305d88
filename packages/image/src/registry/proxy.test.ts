import { execFileSync } from 'node:child_process'
import { inspect } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { authority } from '../testing/authority.ts'
import {
  big,
  bytesOf,
  client,
  content,
  local,
  manifest,
  password,
  proxy,
  read,
  registry,
  upload,
} from '../testing/registry-client.ts'
import type { RegistryClientOptions } from './client.ts'
import type { RegistryHost } from './registry-config.ts'
import { uploadBlob } from './upload.ts'

afterEach(() => void vi.useRealTimers())

const once = { retry: { attempts: 1 } } as const
const { ca, server, client: own } = authority()
const tls = { cert: server.certificate, key: server.key }
/** Outside all networks that are private; only the proxy knows where it is. */
const outside = (host: string) => `registry.example:${host.split(':')[1]}`

/** A registry by TLS that is reached through a proxy only. */
async function throughProxy(
  more: {
    readonly user?: string
    readonly tls?: object
    readonly proxyTls?: object
    readonly rules?: RegistryHost
  } = {},
  options: RegistryClientOptions = once,
) {
  const [r, p] = [await registry({ tls: { ...tls, ...more.tls } }), await proxy(more.proxyTls)]
  r.put('app', 'v1', manifest(), MEDIA.manifest)
  r.blobs.set(content(big).digest, big)
  const host = outside(r.host)
  const rules = { certificateAuthorities: [ca], ...more.rules }
  const open = (user = more.user, hosts: Record<string, RegistryHost> = { [host]: rules }) =>
    client(hosts, { ...options, proxy: { https: p.url(user) } })
  const c = open()
  const pin = (through = c) => through.pin(parseReference(`${host}/app:v1`))
  return { r, p, host, rules, c, pin, open, name: { registry: host, path: 'app' } }
}

describe('through a proxy, to a registry by TLS', () => {
  test('images come and go by CONNECT, over tunnels that are used again', async () => {
    const { r, p, host, c, pin, name } = await throughProxy()
    await pin()
    expect(await read(c.reader(name).openBlob(content(big)))).toEqual(big)
    const fresh = Buffer.from('another')
    expect(await uploadBlob(c.endpoint(name), upload(fresh))).toBe('uploaded')
    expect(r.blobs.get(content(fresh).digest)).toEqual(fresh)
    expect(r.seen.length).toBeGreaterThan(4)
    expect(p.seen.length).toBeLessThanOrEqual(2)
    for (const asked of p.seen) {
      expect(asked).toMatchObject({ method: 'CONNECT', target: host })
      expect(asked.headers).not.toHaveProperty('proxy-authorization')
    }
  })

  test('the user is shown to the proxy and not to the registry, the registry’s password not to the proxy', async () => {
    const { r, p, pin, open } = await throughProxy()
    r.lie = (seen, response) => {
      if (seen.headers.authorization !== undefined) return undefined
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      return true
    }
    const through = open('me:pa%24s')
    await expect(pin(through)).rejects.toMatchObject({ code: 'registry.denied' })
    const { host, rules } = { host: outside(r.host), rules: { certificateAuthorities: [ca] } }
    const known = client(
      { [host]: rules },
      { ...once, credentials: () => password, proxy: { https: p.url('me:pa%24s') } },
    )
    await pin(known)
    expect(p.seen.map(({ headers }) => headers['proxy-authorization'])).toEqual(
      Array.from({ length: p.seen.length }, () => `Basic ${Buffer.from('me:pa$s').toString('base64')}`),
    )
    expect(r.seen.at(-1)!.headers.authorization).toMatch(/^Basic /)
    expect(JSON.stringify(r.seen)).not.toContain('proxy-')
    const basic = Buffer.from('u:p').toString('base64')
    expect(Buffer.concat(p.tunnelled).toString('latin1') + JSON.stringify(p.seen)).not.toContain(basic)
  })

  test('roots and client certificate of a registry hold inside the tunnel, and only they', async () => {
    const { r, pin, open, host } = await throughProxy({
      tls: { ca, requestCert: true },
      rules: { clientCertificate: own },
    })
    await pin()
    for (const rules of [{ certificateAuthorities: [ca] }, { clientCertificate: own }])
      await expect(pin(open('', { [host]: rules }))).rejects.toMatchObject({ code: 'registry.unavailable' })
    expect(r.seen).toHaveLength(1)
  })

  test('a proxy that leads to another server is found out by the certificate', async () => {
    const { p, pin } = await throughProxy()
    const other = await registry({ tls: { cert: own.certificate, key: own.key } })
    p.lie = (near, request) => {
      request.url = other.host
      return undefined
    }
    await expect(pin()).rejects.toMatchObject({
      code: 'registry.unavailable',
      message: expect.stringMatching(/certificate.*|altnames/i),
    })
    expect(other.seen).toEqual([])
  })

  test('a proxy by TLS is judged by the roots of its own host, under its own name', async () => {
    const { p, pin, host, rules } = await throughProxy({ proxyTls: tls })
    const named = `proxy.example:${p.host.split(':')[1]}`
    const lookup = ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(null, [{ address: '127.0.0.1', family: 4 }])) as unknown as typeof import('node:dns').lookup
    const through = (hosts: Record<string, RegistryHost>, at = named) =>
      client(hosts, { ...once, lookup, proxy: { https: `https://me:secret@${at}` } })
    await pin(through({ [host]: rules, [named]: { certificateAuthorities: [ca] } }))
    await expect(pin(through({ [host]: rules }))).rejects.toMatchObject({
      code: 'proxy.unavailable',
      message: expect.stringMatching(/^(?!.*secret).*proxy\.example.*certificate/),
    })
    const lying = named.replace('proxy', 'other')
    await expect(
      pin(through({ [host]: rules, [lying]: { certificateAuthorities: [ca] } }, lying)),
    ).rejects.toMatchObject({ code: 'proxy.unavailable', message: expect.stringMatching(/altnames|Hostname/) })
    await expect(
      pin(through({ [host]: rules, [named]: { certificateAuthorities: [ca], blocked: true } })),
    ).rejects.toMatchObject({ code: 'registry.address', message: expect.stringContaining('blocked') })
    expect(p.seen).toHaveLength(1)
  })

  test('closing the client ends what is still on its way to the proxy', async () => {
    const { p, c, pin } = await throughProxy({}, { ...once, idleSeconds: 30 })
    let asked = () => undefined as void
    const arrived = new Promise<void>((resolve) => (asked = resolve))
    p.lie = () => {
      asked()
      return true
    }
    const pinning = pin()
    const ended = expect(pinning).rejects.toMatchObject({ code: 'proxy.unavailable' })
    await arrived
    c.close()
    await ended
  })
})

describe('H13 a hostile proxy, or one that refuses', () => {
  test.each<[string, string, string, string]>([
    [
      'wants a user',
      'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n',
      'proxy.denied',
      'user and password',
    ],
    [
      'wants one as tinyproxy says it',
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
      'proxy.denied',
      '401, it does not take',
    ],
    [
      'wants what is not known',
      'HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate, NTLM\r\n\r\n',
      'proxy.denied',
      'negotiate, ntlm',
    ],
    ['lets nobody there', 'HTTP/1.1 403 \u001b[2J\r\n\r\n', 'proxy.denied', '403'],
    ['sends elsewhere', 'HTTP/1.1 302 x\r\nLocation: http://127.0.0.1/\r\n\r\n', 'proxy.denied', '302'],
    ['cannot reach it', 'HTTP/1.1 502 x\r\n\r\n', 'proxy.unavailable', '502'],
    ['answers in another protocol', 'SSH-2.0-x\r\n', 'proxy.unavailable', 'Parse Error'],
    [
      'puts bytes into the tunnel',
      'HTTP/1.1 200 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
      'proxy.unavailable',
      'bytes of its own',
    ],
    ['hangs up', '', 'proxy.unavailable', 'socket hang up'],
    ['hangs up amid its headers', 'HTTP/1.1 200 x\r\nA: ', 'proxy.unavailable', 'hang up'],
    [
      'sends headers without end',
      `HTTP/1.1 200 x\r\n${'A: b\r\n'.repeat(10_000)}`,
      'proxy.unavailable',
      'Header overflow',
    ],
    ['lies that the tunnel stands', 'HTTP/1.1 200 x\r\n\r\n', 'registry.unavailable', 'through proxy'],
  ])(
    '%s: told with the proxy and what was asked, without a password, and nothing is asked directly',
    async (what, answer, code, message) => {
      const { r, p, host, open, pin } = await throughProxy()
      p.lie = (near) => {
        near.write(answer)
        if (!what.includes('without end')) setTimeout(() => near.destroy(), 20)
        return true
      }
      const error = await pin(open('me:secret')).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code, message: expect.stringContaining(message) })
      expect((error as Error).message).toContain(p.host)
      expect((error as Error).message).toContain(host)
      // eslint-disable-next-line no-control-regex
      expect((error as Error).message).not.toMatch(/[\u0000-\u001f]/)
      expect(inspect(error, { depth: 9 })).not.toMatch(/me:secret|bWU6c2VjcmV0/)
      expect(r.seen).toEqual([])
    },
  )

  test('drips headers for ever: the time for the tunnel ends', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { p, pin } = await throughProxy({}, { ...once, idleSeconds: 60 })
    p.lie = (near) => {
      near.write('HTTP/1.1 200 x\r\nA: ')
      vi.advanceTimersByTime(60_000)
      return true
    }
    await expect(pin()).rejects.toMatchObject({
      code: 'proxy.unavailable',
      message: expect.stringContaining('within 60 s'),
    })
  })

  test('is not there: that is told, and it is tried again before', async () => {
    const { p, r, pin } = await throughProxy({}, { retry: { attempts: 2, firstDelayMs: 1 } })
    let times = 0
    p.lie = (near) => (times++ === 0 ? (near.destroy(), true) : undefined)
    await pin()
    expect([times, r.seen.length]).toEqual([2, 1])
    p.close()
    const host = outside(r.host)
    const gone = client({ [host]: { certificateAuthorities: [ca] } }, { ...once, proxy: { https: p.url('me:secret') } })
    await expect(pin(gone)).rejects.toMatchObject({
      code: 'proxy.unavailable',
      message: expect.stringMatching(/^(?!.*secret).*127\.0\.0\.1:\d+.*ECONNREFUSED/),
    })
  })

  test('cuts a tunnel amid a blob: what is missing is fetched by another', async () => {
    const { r, p, c, name } = await throughProxy({}, { retry: { attempts: 2, firstDelayMs: 1 } })
    let cut = 2
    r.lie = (seen, response) => {
      if (!seen.path.includes('/blobs/') || cut-- <= 0) return undefined
      const from = Number(/=(\d+)-/.exec(seen.headers.range ?? '=0-')?.[1])
      response.writeHead(from === 0 ? 200 : 206, { 'content-range': `bytes ${from}-${big.length - 1}/${big.length}` })
      response.write(big.subarray(from, from + 90_000), () => response.destroy())
      return true
    }
    expect(await read(c.reader(name).openBlob(content(big)))).toEqual(big)
    expect(p.seen).toHaveLength(3)
  })
})

describe('H13 what a proxy is not asked for', () => {
  test.each([
    ['the metadata service', 'https://169.254.169.254', true],
    ['the metadata service as a number', 'https://2852039166', true],
    ['the metadata service by name', 'https://metadata.google.internal', true],
    ['the same with a dot', 'https://metadata.google.internal.', false],
    ['the same with two', 'https://metadata.google.internal..', false],
    ['a private address', 'https://10.1.2.3', false],
    ['a private address in one of IPv6', 'https://[::ffff:10.1.2.3]', false],
    ['a name without a domain', 'https://intranet', false],
    ['a name of a private network', 'https://vault.corp.internal', false],
    ['the same with a dot', 'https://vault.lan.', false],
  ])('%s: %s (private networks allowed: %s)', async (_what, url, privateNetwork) => {
    const p = await proxy()
    const asked = new URL(url)
    const c = client({ [asked.host.replace(/\.+$/, '')]: {} }, { ...once, proxy: { https: p.url(), http: p.url() } })
    await expect(c.readFile(asked, 10)).rejects.toMatchObject({ code: 'registry.address' })
    if (privateNetwork) {
      const allowed = client({ [asked.host]: { privateNetwork } }, { ...once, proxy: { https: p.url() } })
      await expect(allowed.readFile(asked, 10)).rejects.toMatchObject({ code: 'registry.address' })
    }
    expect(p.seen).toEqual([])
  })

  test('a private host is asked for where its configuration says so', async () => {
    const { r, p } = await throughProxy()
    const host = `registry.corp.internal:${r.host.split(':')[1]}`
    const c = client(
      { [host]: { privateNetwork: true, certificateAuthorities: [ca] } },
      { ...once, proxy: { https: p.url() } },
    )
    await expect(c.readFile(new URL(`https://${host}/`), 10)).rejects.toMatchObject({ code: 'registry.unavailable' })
    expect(p.seen.map(({ target }) => target)).toEqual([host])
  })

  test('redirects, token services and mirrors that are not named, or lie in a private network, are not', async () => {
    const { r, p, pin, c, name, host, rules } = await throughProxy()
    let to = 'https://elsewhere.example/x'
    r.lie = (seen, response) => {
      if (!seen.path.includes('/blobs/')) return undefined
      response.writeHead(307, { location: to }).end()
      return true
    }
    const readBlob = (through = c) => read(through.reader(name).openBlob(content(big)))
    await expect(readBlob()).rejects.toMatchObject({ code: 'registry.redirect' })
    to = 'https://10.1.2.3/x'
    const naming = (more: RegistryHost) =>
      client({ [host]: { ...rules, ...more } }, { ...once, proxy: { https: p.url() } })
    await expect(readBlob(naming({ redirectHosts: ['10.1.2.3'] }))).rejects.toMatchObject({ code: 'registry.address' })
    to = 'https://blobs.corp/x'
    await expect(readBlob(naming({ redirectHosts: ['*.corp'] }))).rejects.toMatchObject({ code: 'registry.address' })
    r.lie = (_seen, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="https://token.internal/x"' }).end()
      return true
    }
    await expect(pin()).rejects.toMatchObject({ code: 'registry.realm' })
    await expect(pin(naming({ realmHosts: ['token.internal'] }))).rejects.toMatchObject({ code: 'registry.address' })
    const digest = content(manifest()).digest
    r.lie = () => undefined
    const mirrored = naming({ mirrors: [{ registry: 'mirror.internal' }] })
    await mirrored.pin(parseReference(`${host}/app@${digest}`))
    expect(new Set(p.seen.map(({ target }) => target))).toEqual(new Set([host]))
  })

  test('loopback, and what NO_PROXY names: asked directly, under the rules for addresses', async () => {
    const [r, p] = [await registry(), await proxy()]
    r.put('app', 'v1', manifest(), MEDIA.manifest)
    const settings = { https: p.url(), http: p.url(), noProxy: 'registry.example' }
    await client({ [r.host]: local }, { ...once, proxy: settings }).pin(parseReference(`${r.host}/app:v1`))
    const lookup = ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(null, [{ address: '127.0.0.1', family: 4 }])) as unknown as typeof import('node:dns').lookup
    const direct = client({}, { ...once, lookup, proxy: settings })
    await expect(direct.readFile(new URL('https://registry.example/'), 10)).rejects.toMatchObject({
      code: 'registry.address',
      message: expect.stringContaining('private network'),
    })
    expect(r.seen).toHaveLength(1)
    expect(p.seen).toEqual([])
  })
})

describe('through a proxy, to a registry in plain HTTP', () => {
  const plain: RegistryHost = { plainHttp: true }
  test.each([
    ['by HTTP', undefined],
    ['by TLS', tls],
  ])('requests go in absolute form, to a proxy %s', async (_how, by) => {
    const [r, p] = [await registry(), await proxy(by)]
    r.put('app', 'v1', manifest(), MEDIA.manifest)
    const host = outside(r.host)
    const c = client(
      { [host]: plain, [p.host]: { certificateAuthorities: [ca] } },
      { ...once, proxy: { http: p.url('me:pass') } },
    )
    await c.pin(parseReference(`${host}/app:v1`))
    expect(await uploadBlob(c.endpoint({ registry: host, path: 'app' }), upload(big))).toBe('uploaded')
    expect(p.seen[0]).toMatchObject({
      method: 'GET',
      target: `http://${host}/v2/app/manifests/v1`,
      headers: { host, 'proxy-authorization': `Basic ${Buffer.from('me:pass').toString('base64')}` },
    })
    expect(r.seen.length).toBe(p.seen.length)
  })

  test('a password stays here, a proxy that wants one is told of as a proxy, and one for TLS is not used', async () => {
    const [r, p] = [await registry(), await proxy()]
    const host = outside(r.host)
    r.lie = (_seen, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      return true
    }
    const through = (user: string) =>
      client({ [host]: plain }, { ...once, credentials: () => password, proxy: { http: p.url(user) } })
    const pin = (user = '') => through(user).pin(parseReference(`${host}/app:v1`))
    await expect(pin()).rejects.toMatchObject({
      code: 'registry.denied',
      message: expect.stringContaining('plain HTTP'),
    })
    p.answer = (_request, response) => void response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end()
    await expect(pin('me:secret')).rejects.toMatchObject({
      code: 'proxy.denied',
      message: expect.stringMatching(/^(?!.*secret).*407/),
    })
    p.answer = (_request, response) => void response.writeHead(403).end()
    await expect(pin()).rejects.toMatchObject({ code: 'registry.denied', message: expect.stringContaining('/v2/app') })
    expect(JSON.stringify(p.seen.map(({ headers }) => headers.authorization ?? ''))).not.toContain('Basic')
    p.close()
    await expect(pin('me:secret')).rejects.toMatchObject({
      code: 'proxy.unavailable',
      message: expect.stringMatching(/^(?!.*secret).*through proxy 127.*ECONNREFUSED/),
    })
  })
})

test('the environment of this process is not read by the library', () => {
  const script = `import { RegistryClient } from '@vouchsafe/image'
    const hosts = { 'registry.example': {} }
    const lookup = (_n, _o, done) => done(Object.assign(new Error('looked up'), { code: 'ENOTFOUND' }))
    await new RegistryClient({ hosts, lookup, retry: { attempts: 1 } })
      .readFile(new URL('https://registry.example/'), 10).catch((error) => console.log(error.message))`
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HTTPS_PROXY: 'http://127.0.0.1:1', NODE_USE_ENV_PROXY: '1' },
    cwd: import.meta.dirname,
  })
  expect(out).toContain('looked up')
  expect(bytesOf(out).toString()).not.toContain('proxy')
})
