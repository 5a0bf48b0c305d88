import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { type Server, createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { verifyIdentityDocument } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { GCE_ISSUER, GcePlatform, TlsAuthority, gceAuditEntry, gceRecording } from '@vouchsafe/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openIdentityKeys, readKeys } from './identity-keys.ts'
import { openInstanceSource } from './instance-source.ts'

/** The platform's services over HTTPS: keys of identity documents, and an API of Compute Engine's form. */
let directory: string
let authority: TlsAuthority
let server: Server
let base: string
let asked: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[] = []
let answers: Record<string, (body: string) => unknown> = {}
const platform = new GcePlatform()

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'vs-platform-'))
  authority = await TlsAuthority.create('platform')
  const { certificate, key } = await authority.issue([{ type: 'ip', value: '127.0.0.1' }])
  server = createServer({ cert: certificate, key }, (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const path = request.url ?? ''
      asked.push({ path, authorization: request.headers.authorization, body })
      const answer = answers[path]
      response.writeHead(answer === undefined ? 404 : 200)
      response.end(JSON.stringify(answer?.(body) ?? {}))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  writeFileSync(path.join(directory, 'token'), 'ya29.viewer\n')
})
afterAll(() => {
  server?.close()
  server?.closeAllConnections()
  rmSync(directory, { recursive: true, force: true })
})
beforeEach(() => {
  asked = []
  answers = {}
})

const unavailable = expect.objectContaining({ code: 'endorsement.unavailable' })

describe('DEF-25 identity keys', () => {
  const document = () => platform.document({ id: '1' }, 'a')
  const verify = (text: string, keys: Parameters<typeof verifyIdentityDocument>[1]['keys'], at: Date) =>
    verifyIdentityDocument(text, { keys, issuer: GCE_ISSUER, audience: 'a', maxAgeSeconds: 600, at }, nodeCrypto)

  test('a rotation is followed: a new kid is asked for, but not for every stranger’s', async () => {
    answers['/jwks'] = () => platform.jwks()
    const keys = openIdentityKeys({ kind: 'url', url: `${base}/jwks`, authority: authority.certificate })
    const kidOf = (text: string) =>
      (JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid
    const at = new Date()
    const first = document()
    await verify(first, await keys.find(kidOf(first), at), at)
    await keys.find(kidOf(first), at)
    expect(asked).toHaveLength(1)
    platform.rotate()
    const second = document()
    const later = new Date(at.getTime() + 11_000)
    await verify(second, await keys.find(kidOf(second), later), later)
    expect(asked).toHaveLength(2)
    for (let i = 0; i < 20; i++) expect(await keys.find(`stranger-${i}`, later)).toEqual([])
    expect(asked).toHaveLength(2)
  })

  test('keys that cannot be fetched are an outage, never a yes', async () => {
    const keys = openIdentityKeys({ kind: 'url', url: `${base}/nothing`, authority: authority.certificate })
    await expect(keys.find('x', new Date())).rejects.toThrow(unavailable)
    const untrusted = openIdentityKeys({ kind: 'url', url: `${base}/jwks`, authority: undefined })
    await expect(untrusted.find('x', new Date())).rejects.toThrow(unavailable)
  })

  test('keys that are known serve through an outage of their issuer, and not for ever', async () => {
    answers['/jwks'] = () => platform.jwks()
    const keys = openIdentityKeys({ kind: 'url', url: `${base}/jwks`, authority: authority.certificate })
    const kid = readKeys(Buffer.from(JSON.stringify(platform.jwks())))[0]?.kid ?? ''
    const at = (minutes: number) => new Date(1_767_348_245_000 + minutes * 60_000)
    const [key] = await keys.find(kid, at(0))
    answers['/jwks'] = () => ({ keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'new' }] })
    expect(await keys.find(kid, at(70))).toEqual([key])
    // of a key that may be a new one, nothing can be said meanwhile
    await expect(keys.find('new', at(70))).rejects.toThrow(unavailable)
    await expect(keys.find(kid, at(120))).rejects.toThrow(unavailable)
    answers['/jwks'] = () => platform.jwks()
    expect(await keys.find(kid, at(121))).toEqual([key])
  })

  test('a published key that is none is refused by name', () => {
    const jwks = { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'odd' }] }
    expect(() => readKeys(Buffer.from(JSON.stringify(jwks)))).toThrow(
      expect.objectContaining({ code: 'endorsement.malformed', message: expect.stringContaining('"odd"') }),
    )
  })

  test('a file is read anew each time', async () => {
    const file = path.join(directory, 'jwks.json')
    const keys = openIdentityKeys({ kind: 'file', file })
    await expect(keys.find('x', new Date())).rejects.toThrow(unavailable)
    writeFileSync(file, JSON.stringify(platform.jwks()))
    const [key] = readKeys(Buffer.from(JSON.stringify(platform.jwks())))
    expect(await keys.find(key?.kid ?? '', new Date())).toEqual([key])
  })

  test('E01 the algorithm is the key’s: a document of another is refused', async () => {
    const keys = readKeys(Buffer.from(JSON.stringify(platform.jwks())))
    for (const alg of ['none', 'HS256', 'RS512', 'ES256'])
      await expect(verify(platform.document({ id: '1' }, 'a', {}, { alg }), keys, new Date())).rejects.toThrow(
        expect.objectContaining({ code: 'token.malformed' }),
      )
    const jku = platform.document({ id: '1' }, 'a', {}, { jku: 'https://evil' })
    await expect(verify(jku, keys, new Date())).rejects.toThrow(expect.objectContaining({ code: 'token.malformed' }))
  })
})

describe('a live instance source', () => {
  const place = '/compute/v1/projects/client-project/zones/us-central1-a'
  const address = { instance: '42', name: 'tokenclient', project: 'client-project', zone: 'us-central1-a' }
  const source = () =>
    openInstanceSource({
      kind: 'live',
      compute: `${base}/compute/v1`,
      logging: `${base}/v2`,
      tokenFile: path.join(directory, 'token'),
      authority: authority.certificate,
    })
  function answer(spec: Partial<Parameters<typeof gceRecording>[0]> = {}, pages = 1) {
    const { instance, disks, projectMetadata, shieldedIdentity, audit } = gceRecording({ id: '42', ...spec })
    answers = {
      [`${place}/instances/tokenclient`]: () => instance,
      [`${place}/instances/tokenclient/getShieldedInstanceIdentity`]: () => shieldedIdentity,
      [`${place}/disks/boot`]: () => disks[0],
      '/compute/v1/projects/client-project': () => projectMetadata,
      '/v2/entries:list': (body) => {
        const page = Number((JSON.parse(body) as { pageToken?: string }).pageToken ?? 0)
        const entries = audit.entries.filter((_, i) => i % pages === page)
        return { entries, ...(page + 1 < pages && { nextPageToken: String(page + 1) }) }
      },
    }
  }

  test('asks for everything anew, as a viewer, and pages through the whole trail', async () => {
    answer({ audit: [gceAuditEntry('v1.compute.instances.setMetadata', '2026-01-03T00:00:00Z')] }, 2)
    const facts = await source().read(address, new Date('2026-02-01T00:00:00Z'))
    expect(facts).toMatchObject({ source: 'live', at: '2026-02-01T00:00:00.000Z', audit: { complete: true } })
    expect(facts.audit.entries.map((e) => e.method)).toContain('v1.compute.instances.setMetadata')
    expect(new Set(asked.map((a) => a.authorization))).toEqual(new Set(['Bearer ya29.viewer']))
    const filter = asked.find((a) => a.path === '/v2/entries:list')?.body ?? ''
    expect(filter).toContain('resource.labels.instance_id=\\"42\\"')
    expect(filter).toContain('setCommonInstanceMetadata')
  })

  test('a trail that does not end counts as cut', async () => {
    answer()
    answers['/v2/entries:list'] = () => ({ entries: [], nextPageToken: 'more' })
    expect((await source().read(address, new Date())).audit.complete).toBe(false)
  })

  test('a name that was given to another machine is not that instance', async () => {
    answer({ id: '43' })
    await expect(source().read(address, new Date())).rejects.toThrow(unavailable)
  })

  test.each(['../../secret', 'a/b', '', 'x"y'])('a name like %j never becomes part of an address', async (name) => {
    answer()
    await expect(source().read({ ...address, name }, new Date())).rejects.toThrow(unavailable)
    expect(asked).toEqual([])
  })

  test('no answer is no answer', async () => {
    answer()
    delete answers[`${place}/disks/boot`]
    await expect(source().read(address, new Date())).rejects.toThrow(unavailable)
  })
})

describe('instances in files', () => {
  const address = { instance: '42', name: 'n', project: 'p', zone: 'z' }

  test('a static file holds facts in our own words, and says so', async () => {
    const file = path.join(directory, 'static.json')
    const source = openInstanceSource({ kind: 'static', file })
    await expect(source.read(address, new Date())).rejects.toThrow(unavailable)
    const recorded = openInstanceSource({ kind: 'recorded', directory })
    writeFileSync(path.join(directory, '42.json'), JSON.stringify(gceRecording({ id: '42' })))
    const facts = await recorded.read(address, new Date())
    expect(facts.source).toBe('recorded')
    // what a file says of itself is not believed to be the platform's word
    writeFileSync(file, JSON.stringify({ instances: [{ ...facts, source: 'live' }] }))
    await expect(source.read(address, new Date())).rejects.toThrow(unavailable)
    writeFileSync(file, JSON.stringify({ instances: [{ ...facts, source: 'static' }] }))
    expect((await source.read(address, new Date())).instance).toBe('42')
  })

  test('a recording of another instance is not this one’s', async () => {
    writeFileSync(path.join(directory, '44.json'), JSON.stringify(gceRecording({ id: '42' })))
    const recorded = openInstanceSource({ kind: 'recorded', directory })
    await expect(recorded.read({ ...address, instance: '44' }, new Date())).rejects.toThrow(unavailable)
  })
})
