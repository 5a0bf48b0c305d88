import { describe, expect, test } from 'vitest'
import { parseReference } from '../oci/reference.ts'
import { authority } from '../testing/authority.ts'
import { client, proxy, registry } from '../testing/registry-client.ts'
import type { RegistryHost } from './registry-config.ts'

const { ca, server, client: own } = authority()
const tls = { cert: server.certificate, key: server.key }
const mixed = { certificate: own.certificate, key: server.key }

/** A registry that only the proxy knows, under its own rules and the proxy's. */
async function throughProxy(rules: RegistryHost = {}, proxyRules?: RegistryHost) {
  const [r, p] = [await registry({ tls }), await proxy(proxyRules === undefined ? undefined : tls)]
  const host = `registry.example:${r.host.split(':')[1]}`
  const hosts = { [host]: { certificateAuthorities: [ca], ...rules }, [p.host]: { ...proxyRules } }
  const c = client(hosts, { idleSeconds: 3600, retry: { attempts: 1 }, proxy: { https: p.url() } })
  return { r, p, c, host }
}

describe('a certificate that cannot be used', () => {
  test.each<[string, RegistryHost, RegistryHost | undefined]>([
    ['of the registry, through a proxy', { clientCertificate: mixed }, undefined],
    ['of the proxy itself', {}, { clientCertificate: mixed }],
  ])('%s, is told of as that, before anything is asked', async (_whose, rules, proxyRules) => {
    const { r, p, c, host } = await throughProxy(rules, proxyRules)
    await expect(c.pin(parseReference(`${host}/app:v1`))).rejects.toMatchObject({
      code: 'registry.address',
      message: expect.stringMatching(/^(registry\.example|127\.0\.0\.1):\d+: .*cannot be used: .*mismatch/),
    })
    expect([p.seen, r.seen]).toEqual([[], []])
  })

  test('of a registry that is asked directly, too', async () => {
    const r = await registry({ tls })
    const c = client({
      [r.host]: { privateNetwork: true, clientCertificate: mixed },
    })
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({
      code: 'registry.address',
      message: expect.stringContaining('cannot be used'),
    })
  })
})

test('a caller who gives up is not kept until the proxy answers, and the proxy is hung up on', async () => {
  const { p, c, host } = await throughProxy()
  const stop = new AbortController()
  const hungUp = new Promise<void>((resolve) => {
    p.lie = (near) => {
      near.on('end', resolve)
      near.resume()
      stop.abort()
      return true
    }
  })
  const asking = c.endpoint({ registry: host, path: 'app' }).send({
    method: 'GET',
    to: '/v2/',
    scopes: [],
    accept: [200],
    signal: stop.signal,
  })
  await expect(asking).rejects.toMatchObject({ code: 'aborted' })
  await hungUp
}, 20_000)

test('a tunnel is used again after the caller it was made for has given up on everything', async () => {
  const { r, p, c, host } = await throughProxy()
  r.lie = (_seen, response) => (response.writeHead(200, { 'content-length': 0 }).end(), true)
  const stop = new AbortController()
  const ask = async (signal?: AbortSignal) =>
    (
      await c
        .endpoint({ registry: host, path: 'app' })
        .send({ method: 'GET', to: '/v2/', scopes: [], accept: [200], signal })
    ).discard()
  await ask(stop.signal)
  await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await ask()
  expect([p.seen.length, r.seen.length]).toEqual([1, 2])
})
