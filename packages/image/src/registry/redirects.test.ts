import { describe, expect, test } from 'vitest'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { authority } from '../testing/authority.ts'
import { registry, local, client, password, content, read, manifest, big, upload } from '../testing/registry-client.ts'
import type { RegistryHost } from './registry-config.ts'
import { uploadBlob } from './upload.ts'

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

  test('H13 one registry’s roots are not trusted for another, whichever of them opened the connection', async () => {
    const { ca, server } = authority()
    const [r, shared] = [await registry(), await registry({ tls: { cert: server.certificate, key: server.key } })]
    const blob = content(big)
    shared.blobs.set(blob.digest, big)
    shared.put('app', 'v1', manifest(), MEDIA.manifest)
    r.lie = (seen, response) => {
      response.writeHead(307, { location: `https://${shared.host}${seen.path}` }).end()
      return true
    }
    const c = client(
      {
        [r.host]: { ...local, redirectHosts: [shared.host], certificateAuthorities: [ca] },
        [shared.host]: { privateNetwork: true },
      },
      { retry: { attempts: 1 } },
    )
    expect(await read(c.reader({ registry: r.host, path: 'app' }).openBlob(blob))).toEqual(big)
    await expect(c.pin(parseReference(`${shared.host}/app:v1`))).rejects.toMatchObject({
      code: 'registry.unavailable',
      message: expect.stringContaining('certificate'),
    })
  })

  /** A registry that sends everybody on to another one, named `host`. */
  async function sendingTo(host: string) {
    const r = await registry()
    r.lie = (seen, response) => {
      response.writeHead(307, { location: `https://${host}${seen.path}` }).end()
      return true
    }
    return r
  }

  test('H13 the client certificate for one registry serves no other that redirects to it', async () => {
    const { ca, server, client: own } = authority()
    const tls = { cert: server.certificate, key: server.key, ca, requestCert: true }
    const shared = await registry({ tls })
    const r = await sendingTo(shared.host)
    shared.blobs.set(content(big).digest, big)
    shared.put('app', 'v1', manifest(), MEDIA.manifest)
    const rules = { privateNetwork: true, certificateAuthorities: [ca] }
    const c = client(
      {
        [r.host]: { ...rules, plainHttp: true, redirectHosts: [shared.host] },
        [shared.host]: { ...rules, clientCertificate: own },
      },
      { retry: { attempts: 1 } },
    )
    await expect(c.pin(parseReference(`${shared.host}/app:v1`))).resolves.toBeDefined()
    await expect(read(c.reader({ registry: r.host, path: 'app' }).openBlob(content(big)))).rejects.toMatchObject({
      code: 'registry.unavailable',
    })
  })

  test('H13 what one registry may reach in a private network is not reached for another by its connection', async () => {
    const { ca, server } = authority()
    const shared = await registry({ tls: { cert: server.certificate, key: server.key } })
    const named = `shared.example:${new URL(`https://${shared.host}`).port}`
    const r = await sendingTo(named)
    shared.blobs.set(content(big).digest, big)
    shared.put('app', 'v1', manifest(), MEDIA.manifest)
    const lookup = ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(null, [{ address: '127.0.0.1', family: 4 }])) as never
    const c = client(
      {
        [r.host]: { ...local, redirectHosts: [named], certificateAuthorities: [ca] },
        [named]: { certificateAuthorities: [ca] },
      },
      { retry: { attempts: 1 }, lookup },
    )
    expect(await read(c.reader({ registry: r.host, path: 'app' }).openBlob(content(big)))).toEqual(big)
    await expect(c.pin(parseReference(`${named}/app:v1`))).rejects.toMatchObject({ code: 'registry.address' })
  })
})
