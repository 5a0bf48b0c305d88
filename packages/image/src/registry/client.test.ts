import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { scratchSpace } from '../testing/image.ts'
import { FakeRegistry, type FakeRegistryOptions } from '../testing/registry.ts'
import { RegistryClient, type RegistryClientOptions } from './client.ts'
import { listReferrers, putManifest } from './referrers.ts'
import type { RegistryHost } from './registry-config.ts'
import { uploadBlob } from './upload.ts'

const fresh = scratchSpace('registry')
const open: (FakeRegistry | RegistryClient)[] = []
afterEach(() => {
  for (const thing of open.splice(0)) thing.close()
})

async function registry(options?: FakeRegistryOptions): Promise<FakeRegistry> {
  const started = await new FakeRegistry(options).start()
  open.push(started)
  return started
}
const local: RegistryHost = { plainHttp: true, privateNetwork: true }
function client(hosts: Record<string, RegistryHost>, more: RegistryClientOptions = {}): RegistryClient {
  const made = new RegistryClient({ hosts, retry: { firstDelayMs: 1, maxDelayMs: 5 }, idleSeconds: 2, ...more })
  open.push(made)
  return made
}
const password = { kind: 'password', username: 'u', password: 'p' } as const
const bytesOf = (text: string) => Buffer.from(text)
const content = (bytes: Uint8Array) => ({ digest: digestOf(bytes), size: bytes.length })
async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
const manifest = (text = '') =>
  bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...content(bytesOf('{}')) },
      layers: [],
      annotations: { text },
    }),
  )
const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
const upload = (bytes: Buffer) => ({
  content: content(bytes),
  open: async function* (offset: number) {
    yield bytes.subarray(offset)
  },
})

describe('reading', () => {
  test('H01 a tag is asked for once, and everything else by the digest it gave', async () => {
    const r = await registry()
    r.put('app', 'v1', manifest('first'), MEDIA.manifest)
    const c = client({ [r.host]: local })
    const pinned = await c.pin(parseReference(`${r.host}/app:v1`))
    r.put('app', 'v1', manifest('second'), MEDIA.manifest)
    const again = await c.reader(pinned.asked).readManifest(pinned.digest, 1e6)
    expect(Buffer.from(again.bytes)).toEqual(manifest('first'))
    expect(r.seen.map((seen) => seen.path)).toEqual(['/v2/app/manifests/v1', `/v2/app/manifests/${pinned.digest}`])
  })

  test('H06 a registry that sends other bytes than the digest asked for is found out', async () => {
    const r = await registry()
    const digest = digestOf(manifest('good'))
    r.manifests.set(`app:${digest}`, { bytes: manifest('evil'), type: MEDIA.manifest })
    const c = client({ [r.host]: local })
    await expect(c.pin(parseReference(`${r.host}/app@${digest}`))).rejects.toMatchObject({ code: 'digest.mismatch' })
  })

  test.each([
    [
      'another digest than its bytes have',
      (d: string) => d.replace(/.$/, (c) => (c === '0' ? '1' : '0')),
      'digest.mismatch',
    ],
    ['a digest that is a path', () => 'sha256:../../etc', 'digest.malformed'],
  ])('H06 a tag whose registry states %s', async (_why, change, code) => {
    const r = await registry()
    const bytes = manifest()
    r.lie = (_seen, response) => {
      response
        .writeHead(200, { 'content-type': MEDIA.manifest, 'docker-content-digest': change(digestOf(bytes)) })
        .end(bytes)
      return true
    }
    await expect(client({ [r.host]: local }).pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({ code })
  })

  test('a manifest without end is cut off', async () => {
    const r = await registry()
    r.lie = (_seen, response) => {
      response.writeHead(200, { 'content-type': MEDIA.manifest })
      response.write(Buffer.alloc(5 * 1024 * 1024))
      return true
    }
    await expect(client({ [r.host]: local }).pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({
      code: 'document.too-large',
    })
  })

  test('a blob whose connection breaks is taken up where it broke', async () => {
    const r = await registry()
    const blob = content(big)
    r.blobs.set(blob.digest, big)
    let left = 3
    r.lie = (seen, response) => {
      if (left-- <= 0) return undefined
      const from = Number(/=(\d+)-/.exec(seen.headers.range ?? '=0-')?.[1])
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': big.length - from,
        'content-range': `bytes ${from}-${big.length - 1}/${big.length}`,
      })
      response.write(big.subarray(from, from + 50_000), () => response.destroy())
      return true
    }
    expect(
      await read(
        client({ [r.host]: local })
          .reader({ registry: r.host, path: 'app' })
          .openBlob(blob),
      ),
    ).toEqual(big)
    expect(r.seen.map((seen) => seen.headers.range)).toEqual([
      undefined,
      'bytes=50000-',
      'bytes=100000-',
      'bytes=150000-',
    ])
  })

  test('a registry that knows no ranges starts over, and the bytes already had are skipped', async () => {
    const r = await registry()
    const blob = content(big)
    let first = true
    r.lie = (_seen, response) => {
      response.writeHead(200, { 'content-length': big.length })
      if (first) response.write(big.subarray(0, 70_000), () => response.destroy())
      else response.end(big)
      first = false
      return true
    }
    expect(
      await read(
        client({ [r.host]: local })
          .reader({ registry: r.host, path: 'app' })
          .openBlob(blob),
      ),
    ).toEqual(big)
  })

  test.each<[string, (offset: number) => string]>([
    ['another range than asked for', () => `bytes 0-${big.length - 1}/${big.length}`],
    ['no range', () => ''],
  ])('a resumed blob that comes with %s is refused', async (_why, range) => {
    const r = await registry()
    r.lie = (seen, response) => {
      const from = seen.headers.range === undefined ? 0 : 1
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': big.length,
        ...(from === 1 ? { 'content-range': range(from) } : {}),
      })
      response.write(big.subarray(0, 1000), () => response.destroy())
      return true
    }
    await expect(
      read(
        client({ [r.host]: local })
          .reader({ registry: r.host, path: 'app' })
          .openBlob(content(big)),
      ),
    ).rejects.toMatchObject({ code: 'registry.protocol' })
  })

  test('a blob longer than promised is cut off, one that never comes gives up', async () => {
    const r = await registry()
    const reader = client({ [r.host]: local }).reader({ registry: r.host, path: 'app' })
    r.lie = (_seen, response) => {
      response.writeHead(200)
      response.end(big)
      return true
    }
    await expect(read(reader.openBlob({ ...content(big), size: 1000 }))).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
    r.lie = (_seen, response) => {
      response.writeHead(200, { 'content-length': big.length })
      response.flushHeaders()
      response.destroy()
      return true
    }
    await expect(read(reader.openBlob(content(big)))).rejects.toMatchObject({ code: 'registry.unavailable' })
  })

  test('a silent registry is given up after the idle time', async () => {
    const r = await registry()
    r.lie = () => true
    const c = client({ [r.host]: local }, { idleSeconds: 0.1, retry: { attempts: 2, firstDelayMs: 1 } })
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({
      code: 'registry.unavailable',
      message: expect.stringContaining('silent'),
    })
    expect(r.seen).toHaveLength(2)
  })

  test('what passes is retried, what does not is not', async () => {
    const r = await registry()
    r.put('app', 'v1', manifest(), MEDIA.manifest)
    const statuses = [503, 429, 500]
    r.lie = (_seen, response) => {
      const status = statuses.shift()
      if (status === undefined) return undefined
      response.writeHead(status, { 'retry-after': '0' }).end()
      return true
    }
    const c = client({ [r.host]: local })
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).resolves.toBeDefined()
    expect(r.seen).toHaveLength(4)
    statuses.push(403)
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({ code: 'registry.denied' })
    expect(r.seen).toHaveLength(5)
    statuses.push(502, 502, 502, 502, 502, 502)
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({ code: 'registry.unavailable' })
    expect(r.seen).toHaveLength(10)
  })

  test('the caller can end it', async () => {
    const r = await registry()
    r.lie = () => true
    const signal = AbortSignal.timeout(50)
    await expect(client({ [r.host]: local }).pin(parseReference(`${r.host}/app:v1`), signal)).rejects.toMatchObject({
      code: 'aborted',
    })
  })

  test('mirrors are asked first by digest, passed over when they lie or fail, and never asked for a tag', async () => {
    const [home, liar, mirror] = [await registry(), await registry(), await registry()]
    const digest = home.put('app', 'v1', manifest('true'), MEDIA.manifest)
    liar.manifests.set(`cache/app:${digest}`, { bytes: manifest('false'), type: MEDIA.manifest })
    mirror.put('app', 'v1', manifest('true'), MEDIA.manifest)
    const c = client({
      [home.host]: { ...local, mirrors: [{ registry: liar.host, pathPrefix: 'cache' }, { registry: mirror.host }] },
      [liar.host]: local,
      [mirror.host]: local,
    })
    await c.pin(parseReference(`${home.host}/app:v1`))
    expect([home.seen.length, liar.seen.length, mirror.seen.length]).toEqual([1, 0, 0])
    await c.pin(parseReference(`${home.host}/app@${digest}`))
    expect([home.seen.length, liar.seen.length, mirror.seen.length]).toEqual([1, 1, 1])
    mirror.manifests.clear()
    await c.pin(parseReference(`${home.host}/app@${digest}`))
    expect(home.seen).toHaveLength(2)
  })

  test('a blocked registry is not spoken to', async () => {
    const r = await registry()
    await expect(
      client({ [r.host]: { ...local, blocked: true } }).pin(parseReference(`${r.host}/app:v1`)),
    ).rejects.toMatchObject({ code: 'registry.address' })
    expect(r.seen).toEqual([])
  })
})

describe('H13 addresses', () => {
  test('a host that is not configured is not spoken to in plain HTTP, nor in a private network', async () => {
    const r = await registry()
    for (const rules of [undefined, { plainHttp: true }, { privateNetwork: true }]) {
      const c = client(rules === undefined ? {} : { [r.host]: rules }, { retry: { attempts: 1 } })
      await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({
        code: rules?.privateNetwork === true ? 'registry.unavailable' : 'registry.address',
      })
    }
    expect(r.seen).toEqual([])
  })

  test('a name that resolves to a forbidden address is not connected to, whatever else it resolves to', async () => {
    const lookup = ((_host: string, _options: object, callback: (e: null, a: object[]) => void) =>
      callback(null, [
        { address: '1.2.3.4', family: 4 },
        { address: '169.254.169.254', family: 4 },
      ])) as unknown as typeof import('node:dns').lookup
    const c = client(
      { 'registry.example': { plainHttp: true, privateNetwork: true } },
      { lookup, retry: { attempts: 1 } },
    )
    await expect(c.pin(parseReference('registry.example/app:v1'))).rejects.toMatchObject({
      code: 'registry.address',
      message: expect.stringContaining('169.254.169.254'),
    })
  })

  test('unknown members and names that are no hosts are refused when the client is made', () => {
    expect(() => new RegistryClient({ hosts: { 'a.example': { insecure: true } as RegistryHost } })).toThrow(
      expect.objectContaining({ code: 'registry.address' }),
    )
    expect(() => new RegistryClient({ hosts: { 'user@a.example': {} } })).toThrow(
      expect.objectContaining({ code: 'registry.address' }),
    )
    expect(() => new RegistryClient({ hosts: { 'a.example': { redirectHosts: ['https://x'] } } })).toThrow(
      expect.objectContaining({ code: 'registry.address' }),
    )
  })
})

describe('H13 credentials', () => {
  /** A registry that demands a bearer token and a token service, on two ports. */
  async function guarded(realm?: (own: string, service: string) => string) {
    const [r, service] = [await registry(), await registry()]
    r.put('app', 'v1', manifest(), MEDIA.manifest)
    r.lie = (seen, response) => {
      if (seen.path === '/token') return token(seen, response)
      if (seen.headers.authorization === 'Bearer good') return undefined
      const where = realm?.(r.host, service.host) ?? `http://${r.host}/token`
      response
        .writeHead(401, {
          'www-authenticate': `Bearer realm="${where}",service="reg",scope="repository:other:pull,push"`,
        })
        .end()
      return true
    }
    const token = (
      seen: { headers: { authorization?: string | undefined } },
      response: import('node:http').ServerResponse,
    ) => {
      const ok = seen.headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}`
      response
        .writeHead(ok ? 200 : 401, { 'content-type': 'application/json' })
        .end(JSON.stringify({ token: 'good', expires_in: 300 }))
      return true
    }
    service.lie = token
    const c = client({ [r.host]: local }, { credentials: () => password })
    return { r, service, c, pin: () => c.pin(parseReference(`${r.host}/app:v1`)) }
  }

  test('a token is fetched with our own scope, kept, and used again', async () => {
    const { r, pin } = await guarded()
    await pin()
    await pin()
    expect(r.seen.map((seen) => seen.path)).toEqual([
      '/v2/app/manifests/v1',
      '/token',
      '/v2/app/manifests/v1',
      '/v2/app/manifests/v1',
    ])
    expect(r.seen[1]!.query.getAll('scope')).toEqual(['repository:app:pull'])
  })

  test.each<[string, (own: string, service: string) => string]>([
    ['on another host', (_own, service) => `http://${service}/token`],
    ['on another host by TLS', (_own, service) => `https://${service}/token`],
    ['at the metadata service', () => 'http://169.254.169.254/latest/meta-data'],
    ['with user information', (own) => `http://user:pw@${own}/token`],
    ['in a file', () => 'file:///etc/passwd'],
    ['that cannot be read', () => 'http://'],
    ['whose host only begins alike', (own) => `http://${own}.evil.example/token`],
  ])('a token service %s gets nothing', async (_why, realm) => {
    const { service, pin } = await guarded(realm)
    await expect(pin()).rejects.toMatchObject({ code: 'registry.realm' })
    expect(service.seen).toEqual([])
  })

  test('a registry that takes no token it issued is not asked for ever', async () => {
    const { r, pin } = await guarded()
    r.lie = (seen, response) => {
      if (seen.path === '/token') response.writeHead(200, { 'content-type': 'application/json' }).end('{"token":"bad"}')
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${r.host}/token"` }).end()
      return true
    }
    await expect(pin()).rejects.toMatchObject({ code: 'registry.denied' })
    expect(r.seen).toHaveLength(3)
  })

  test.each(['{"token":"a\\nX-Evil: 1"}', '{"token":7}', '{}', '[]', '{"token":"a","token":"b"}'])(
    'a token answer %j is refused',
    async (body) => {
      const { r, pin } = await guarded()
      const before = r.lie
      r.lie = (seen, response, request) => {
        if (seen.path !== '/token') return before(seen, response, request)
        response.writeHead(200, { 'content-type': 'application/json' }).end(body)
        return true
      }
      await expect(pin()).rejects.toMatchObject({
        code: expect.stringMatching(/^(registry\.protocol|document\.malformed)$/),
      })
    },
  )

  test('an identity token goes to the token service in a form, not in a URL', async () => {
    const { r } = await guarded()
    let form = ''
    const before = r.lie
    r.lie = (seen, response, request) => {
      if (seen.path !== '/token') return before(seen, response, request)
      request.on('data', (chunk: Buffer) => (form += chunk.toString()))
      request.on('end', () => response.writeHead(200).end('{"access_token":"good"}'))
      return true
    }
    const c = client({ [r.host]: local }, { credentials: () => ({ kind: 'identity-token', token: 'refresh' }) })
    await c.pin(parseReference(`${r.host}/app:v1`))
    expect(Object.fromEntries(new URLSearchParams(form))).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'refresh',
      scope: 'repository:app:pull',
    })
    expect(r.seen.every((seen) => !seen.query.has('refresh_token'))).toBe(true)
  })

  test('a password is shown for the repository it is meant for only', async () => {
    const r = await registry()
    r.put('app', 'v1', manifest(), MEDIA.manifest)
    r.lie = (seen, response) => {
      if (seen.headers.authorization !== undefined) return undefined
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      return true
    }
    const c = client({ [r.host]: local }, { credentials: (name) => (name.path === 'app' ? password : undefined) })
    await c.pin(parseReference(`${r.host}/app:v1`))
    await expect(c.pin(parseReference(`${r.host}/other:v1`))).rejects.toMatchObject({
      code: 'registry.denied',
      message: expect.stringContaining('none are configured'),
    })
    expect(
      r.seen.filter((seen) => seen.path.includes('other')).every((seen) => seen.headers.authorization === undefined),
    ).toBe(true)
  })

  test('a password does not leave this machine in plain HTTP', async () => {
    const r = await registry()
    r.lie = (_seen, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      return true
    }
    const port = r.host.split(':')[1]!
    const lookup = ((_host: string, _options: object, callback: (e: null, a: object[]) => void) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }])) as unknown as typeof import('node:dns').lookup
    const c = client({ [`registry.example:${port}`]: local }, { credentials: () => password, lookup })
    await expect(c.pin(parseReference(`registry.example:${port}/app:v1`))).rejects.toMatchObject({
      code: 'registry.denied',
      message: expect.stringContaining('plain HTTP'),
    })
    expect(r.seen).toHaveLength(1)
  })
})

describe('H13 redirects', () => {
  const redirecting = async (to: (own: string) => string, status = 307) => {
    const [r, elsewhere] = [await registry(), await registry()]
    r.blobs.set(content(big).digest, big)
    elsewhere.blobs.set(content(big).digest, big)
    r.lie = (seen, response) => {
      if (!seen.path.includes('/blobs/') || seen.query.has('direct')) return undefined
      response.writeHead(status, { location: to(elsewhere.host) }).end()
      return true
    }
    const c = client({ [r.host]: local }, { credentials: () => password })
    return { r, elsewhere, read: () => read(c.reader({ registry: r.host, path: 'app' }).openBlob(content(big))) }
  }

  test.each<[string, (host: string) => string, string]>([
    ['a host that is not named', (host) => `http://${host}/v2/app/blobs/${content(big).digest}`, 'registry.redirect'],
    ['the metadata service', () => 'http://169.254.169.254/latest', 'registry.redirect'],
    ['a file', () => 'file:///etc/passwd', 'registry.redirect'],
    ['nowhere', () => 'http://', 'registry.protocol'],
  ])('a blob is not fetched from %s', async (_why, to, code) => {
    const { elsewhere, read } = await redirecting(to)
    await expect(read()).rejects.toMatchObject({ code })
    expect(elsewhere.seen).toEqual([])
  })

  test('a loop of redirects ends', async () => {
    const { r, read } = await redirecting(() => '?again')
    await expect(read()).rejects.toMatchObject({
      code: 'registry.redirect',
      message: expect.stringContaining('more than 3'),
    })
    expect(r.seen).toHaveLength(4)
  })

  test('within the registry it is followed, without credentials', async () => {
    const { r, read } = await redirecting(() => `?direct=1`)
    const inner = r.lie
    r.lie = (seen, response, request) => {
      if (seen.headers.authorization === undefined && !seen.query.has('direct')) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
        return true
      }
      return inner(seen, response, request)
    }
    expect(await read()).toEqual(big)
    expect(r.seen.map((seen) => seen.headers.authorization === undefined)).toEqual([true, false, true])
  })

  test('a manifest is never fetched from elsewhere, and an upload does not move', async () => {
    const [r, elsewhere] = [await registry(), await registry()]
    r.lie = (seen, response) => {
      response
        .writeHead(seen.method === 'POST' ? 202 : seen.method === 'HEAD' ? 404 : 307, {
          location: `http://${elsewhere.host}/x`,
        })
        .end()
      return true
    }
    const c = client({ [r.host]: local })
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({ code: 'registry.redirect' })
    await expect(uploadBlob(c.endpoint({ registry: r.host, path: 'app' }), upload(big))).rejects.toMatchObject({
      code: 'registry.redirect',
    })
    expect(elsewhere.seen).toEqual([])
  })
})

describe('TLS', () => {
  /** A CA with a server and a client certificate, made by openssl. */
  function authority() {
    const dir = fresh()
    mkdirSync(dir)
    const ssl = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'ignore'] })
    const file = (name: string) => readFileSync(path.join(dir, name), 'utf8')
    ssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=test ca',
      '-days',
      '2',
    )
    const issue = (name: string, extension: string) => {
      ssl(
        'req',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
        '-addext',
        extension,
      )
      ssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-out',
        `${name}.pem`,
        '-days',
        '2',
        '-copy_extensions',
        'copy',
      )
      return { certificate: file(`${name}.pem`), key: file(`${name}.key`) }
    }
    return {
      ca: file('ca.pem'),
      server: issue('server', 'subjectAltName=IP:127.0.0.1'),
      client: issue('client', 'extendedKeyUsage=clientAuth'),
    }
  }

  test('own roots and a client certificate are used for their host; without them nothing is sent', async () => {
    const { ca, server, client: own } = authority()
    const r = await registry({ tls: { cert: server.certificate, key: server.key, ca, requestCert: true } })
    r.put('app', 'v1', manifest(), MEDIA.manifest)
    const pin = (rules: RegistryHost) =>
      client({ [r.host]: { privateNetwork: true, ...rules } }, { retry: { attempts: 1 } }).pin(
        parseReference(`${r.host}/app:v1`),
      )
    await expect(pin({})).rejects.toMatchObject({
      code: 'registry.unavailable',
      message: expect.stringContaining('certificate'),
    })
    await expect(pin({ certificateAuthorities: [ca] })).rejects.toMatchObject({ code: 'registry.unavailable' })
    expect(r.seen).toEqual([])
    await expect(pin({ certificateAuthorities: [ca], clientCertificate: own })).resolves.toBeDefined()
  })
})

describe('writing', () => {
  test('a blob goes up in chunks, once; a repository that has it gives it to another by mounting', async () => {
    const r = await registry()
    const c = client({ [r.host]: local })
    const app = c.endpoint({ registry: r.host, path: 'app' })
    expect(await uploadBlob(app, upload(big), { chunkBytes: 100_000 })).toBe('uploaded')
    expect(r.blobs.get(content(big).digest)).toEqual(big)
    expect(r.seen.filter((seen) => seen.method === 'PATCH').map((seen) => seen.headers['content-range'])).toEqual([
      '0-99999',
      '100000-199999',
      '200000-299999',
    ])
    expect(await uploadBlob(app, upload(big))).toBe('present')
    r.lie = (seen, response) => {
      if (seen.method !== 'HEAD') return undefined
      response.writeHead(404).end()
      return true
    }
    expect(await uploadBlob(c.endpoint({ registry: r.host, path: 'other' }), upload(big), { mountFrom: 'app' })).toBe(
      'mounted',
    )
    expect(r.seen.at(-1)!.query.get('from')).toBe('app')
  })

  test.each([0, 1, 2])('a blob of %i bytes', async (size) => {
    const r = await registry()
    const bytes = Buffer.alloc(size, 7)
    await uploadBlob(client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' }), upload(bytes))
    expect(r.blobs.get(content(bytes).digest)).toEqual(bytes)
  })

  test.each<[string, number]>([
    ['before the registry took anything', 0],
    ['after it took a part', 30_000],
    ['after it took all, with the answer lost', 100_000],
  ])('an upload that breaks %s goes on where the registry stopped', async (_when, taken) => {
    const r = await registry()
    let breaks = 2
    r.lie = (seen, response, request) => {
      if (seen.method !== 'PATCH' || breaks-- <= 0) return undefined
      const id = seen.path.split('/').at(-1)!
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        r.uploads.set(id, Buffer.concat([r.uploads.get(id)!, Buffer.concat(chunks).subarray(0, taken)]))
        response.destroy()
      })
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await uploadBlob(endpoint, upload(big), { chunkBytes: 100_000 })).toBe('uploaded')
    expect(r.blobs.get(content(big).digest)).toEqual(big)
  })

  test('an upload that the registry forgot starts over; one that never gets on gives up', async () => {
    const r = await registry()
    let forget = 1
    r.lie = (seen, response) => {
      if (seen.method !== 'PATCH' || forget-- <= 0) return undefined
      r.uploads.clear()
      response.destroy()
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await uploadBlob(endpoint, upload(big))).toBe('uploaded')
    r.blobs.clear()
    forget = Infinity
    await expect(uploadBlob(endpoint, upload(big))).rejects.toMatchObject({ code: 'registry.unavailable' })
  })

  test('a source that ends early is not passed off as the blob', async () => {
    const r = await registry()
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    const short = {
      ...upload(big),
      open: async function* () {
        yield big.subarray(0, 10)
      },
    }
    await expect(uploadBlob(endpoint, short)).rejects.toMatchObject({ code: 'digest.mismatch' })
  })

  test('a registry that says it stored something else is not believed', async () => {
    const r = await registry()
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    r.lie = (seen, response) => {
      if (seen.method !== 'PUT') return undefined
      response.writeHead(201, { 'docker-content-digest': digestOf(bytesOf('other')) }).end()
      return true
    }
    await expect(putManifest(endpoint, { bytes: manifest(), mediaType: MEDIA.manifest })).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
    await expect(uploadBlob(endpoint, upload(big))).rejects.toMatchObject({ code: 'digest.mismatch' })
  })
})

describe('CS-10 what refers to an image', () => {
  const subject = { mediaType: MEDIA.manifest, ...content(manifest()) }
  const referrer = (artifactType: string) => ({
    bytes: bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA.manifest,
        artifactType,
        config: { mediaType: MEDIA.empty, ...content(bytesOf('{}')) },
        layers: [],
        subject,
        annotations: { a: artifactType },
      }),
    ),
    mediaType: MEDIA.manifest,
  })

  test.each([true, false])('is listed with the referrers API %s, and by kind', async (referrersApi) => {
    const r = await registry({ referrersApi })
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await listReferrers(endpoint, subject.digest)).toEqual([])
    for (const type of ['application/one', 'application/two', 'application/one'])
      await putManifest(endpoint, referrer(type))
    expect((await listReferrers(endpoint, subject.digest)).map((entry) => entry.artifactType)).toEqual([
      'application/one',
      'application/two',
    ])
    const [one, ...rest] = await listReferrers(endpoint, subject.digest, { artifactType: 'application/one' })
    expect(rest).toEqual([])
    expect(one?.digest).toBe(digestOf(referrer('application/one').bytes))
    expect(r.manifests.has(`app:sha256-${subject.digest.slice(7)}`)).toBe(!referrersApi)
  })

  test('pages are followed on the same host only, and not without end', async () => {
    const r = await registry()
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    const page = (link: string) => {
      r.lie = (seen, response) => {
        if (!seen.path.includes('/referrers/')) return undefined
        const last = seen.query.get('page') === '2'
        response.writeHead(200, { 'content-type': MEDIA.index, ...(last ? {} : { link: `<${link}>; rel="next"` }) })
        response.end(JSON.stringify({ schemaVersion: 2, manifests: [subject] }))
        return true
      }
    }
    page('?page=2')
    expect(await listReferrers(endpoint, subject.digest)).toHaveLength(2)
    page('http://169.254.169.254/next')
    await expect(listReferrers(endpoint, subject.digest)).rejects.toMatchObject({ code: 'registry.redirect' })
    page('?page=1')
    await expect(listReferrers(endpoint, subject.digest)).rejects.toMatchObject({
      code: 'registry.protocol',
      message: expect.stringContaining('pages'),
    })
  })
})

test('the fake registry hashes as we do', () => {
  expect(digestOf(big)).toBe(`sha256:${createHash('sha256').update(big).digest('hex')}`)
})
