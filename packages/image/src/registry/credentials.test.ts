import { describe, expect, test } from 'vitest'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { image, openStore, request } from '../testing/pull.ts'
import { registry, local, client, password, manifest } from '../testing/registry-client.ts'
import { file } from '../testing/unpack.ts'
import { pullToStore } from '../pull/pull-image.ts'
import { HARDENED } from '../unpack/profile.ts'
import { RegistryClient } from './client.ts'
import type { RegistryHost } from './registry-config.ts'
import { pushImage } from './transfer.ts'

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

  test.each<[string, Record<string, RegistryHost>, string]>([
    ['upper case', { 'Blocked.Example': { blocked: true } }, 'blocked.example'],
    ['another name of Docker’s registry', { 'index.docker.io': { blocked: true } }, 'docker.io'],
    ['a default port', { 'a.example': { realmHosts: ['auth.example:443'] } }, 'auth.example'],
    ['an upper case place for blobs', { 'a.example': { redirectHosts: ['*.CDN.example'] } }, 'cdn.example'],
    ['a mirror', { 'a.example': { mirrors: [{ registry: 'Mirror.example' }] } }, 'mirror.example'],
  ])('rules under a name that would never be found are refused, with the right one: %s', (_what, hosts, right) => {
    expect(() => new RegistryClient({ hosts })).toThrow(
      expect.objectContaining({ code: 'registry.address', message: expect.stringContaining(`as ${right}`) }),
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

describe('CS-02 an operator with pull rights', () => {
  test('gets the image by the digest that was published, asks for no more than that, and can change nothing', async () => {
    const r = await registry()
    r.lie = (seen, response) => {
      const { authorization = '' } = seen.headers
      if (seen.path === '/token') {
        const [user] = Buffer.from(authorization.slice('Basic '.length), 'base64').toString().split(':')
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token: user }))
        return true
      }
      const mayRead = authorization === 'Bearer operator' && ['GET', 'HEAD'].includes(seen.method)
      if (authorization === 'Bearer owner' || mayRead) return undefined
      const denied = authorization === 'Bearer operator'
      const challenge = `Bearer realm="http://${r.host}/token",service="reg"`
      response.writeHead(denied ? 403 : 401, denied ? {} : { 'www-authenticate': challenge }).end()
      return true
    }
    const as = (username: string) =>
      client({ [r.host]: local }, { credentials: () => ({ kind: 'password', username, password: 'p' }) })
    const name = { registry: r.host, path: 'team/app' }
    const { source, digest } = await image([[file('f')]])
    await pushImage(source, digest, as('owner').endpoint(name))
    expect([...r.manifests.keys()]).toEqual([`team/app:${digest}`])
    const asked = parseReference(`${r.host}/team/app@${digest}`)
    const operator = as('operator')
    const before = r.seen.length
    const report = await pullToStore(openStore(), HARDENED, { ...request(operator.reader(name), digest), asked })
    expect(report.image.manifestDigest).toBe(digest)
    const scopes = r.seen.slice(before).flatMap(({ query }) => query.getAll('scope'))
    expect(scopes).toEqual(['repository:team/app:pull'])
    const another = await image([[file('g')]])
    await expect(
      pushImage(another.source, another.digest, operator.endpoint(name), { tag: 'v1' }),
    ).rejects.toMatchObject({
      code: 'registry.denied',
    })
    expect([...r.manifests.keys()]).toEqual([`team/app:${digest}`])
  })
})
