import { afterEach, describe, expect, test, vi } from 'vitest'
import { digestOf, verifiedWhileRead } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { registry, local, client, content, read, manifest, big } from '../testing/registry-client.ts'
import type { RegistryClientOptions } from './client.ts'

afterEach(() => void vi.useRealTimers())

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

  test('a manifest whose connection breaks is asked for again', async () => {
    const r = await registry()
    const digest = r.put('app', 'v1', manifest(), MEDIA.manifest)
    let breaks = 2
    r.lie = (_seen, response) => {
      if (breaks-- <= 0) return undefined
      response.writeHead(200, { 'content-type': MEDIA.manifest, 'content-length': manifest().length })
      response.write(manifest().subarray(0, 20), () => response.destroy())
      return true
    }
    const pinned = await client({ [r.host]: local }).pin(parseReference(`${r.host}/app:v1`))
    expect(pinned.digest).toBe(digest)
    expect(r.seen).toHaveLength(3)
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

  test('H10 a registry that gives a few bytes for each connection is given up', async () => {
    const r = await registry()
    const blob = content(big)
    r.lie = (seen, response) => {
      const from = Number(/=(\d+)-/.exec(seen.headers.range ?? '=0-')?.[1])
      response.writeHead(from === 0 ? 200 : 206, { 'content-range': `bytes ${from}-${big.length - 1}/${big.length}` })
      response.write(big.subarray(from, from + 10), () => response.destroy())
      return true
    }
    const reader = client({ [r.host]: local }).reader({ registry: r.host, path: 'app' })
    await expect(read(reader.openBlob(blob))).rejects.toMatchObject({ code: 'registry.unavailable' })
    expect(r.seen.length).toBeLessThanOrEqual(25)
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
    // the silence is the connection's own matter, by the real clock; the limit of an answer does not come into it
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const r = await registry()
    r.lie = () => true
    const c = client({ [r.host]: local }, { idleSeconds: 0.1, retry: { attempts: 1 } })
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({
      code: 'registry.unavailable',
      message: expect.stringContaining('silent'),
    })
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
    const passed: string[] = []
    const c = client(
      {
        [home.host]: { ...local, mirrors: [{ registry: liar.host, pathPrefix: 'cache' }, { registry: mirror.host }] },
        [liar.host]: local,
        [mirror.host]: local,
      },
      { onPassedOver: ({ mirror: name, what, reason }) => passed.push(`${name} ${what} ${reason.code}`) },
    )
    await c.pin(parseReference(`${home.host}/app:v1`))
    expect([home.seen.length, liar.seen.length, mirror.seen.length]).toEqual([1, 0, 0])
    await c.pin(parseReference(`${home.host}/app@${digest}`))
    expect([home.seen.length, liar.seen.length, mirror.seen.length]).toEqual([1, 1, 1])
    mirror.manifests.clear()
    await c.pin(parseReference(`${home.host}/app@${digest}`))
    expect(home.seen).toHaveLength(2)
    // the lie is told once, and what a mirror lacks is no news
    expect(passed).toEqual([`${liar.host}/cache/app manifest ${digest} digest.mismatch`])
  })

  test('a mirror that fails amid a blob is told of, and one whose bytes are wrong ends the pull', async () => {
    const [home, mirror] = [await registry(), await registry()]
    const blob = content(big)
    home.blobs.set(blob.digest, big)
    mirror.lie = (_seen, response) => {
      response.writeHead(200).write(big.subarray(0, 1000), () => response.destroy())
      return true
    }
    const passed: string[] = []
    const hosts = { [home.host]: { ...local, mirrors: [{ registry: mirror.host }] }, [mirror.host]: local }
    const onPassedOver: RegistryClientOptions['onPassedOver'] = ({ mirror: name, what, reason }) =>
      passed.push(`${name} ${what} ${reason.code}`)
    const reader = client(hosts, { onPassedOver }).reader({ registry: home.host, path: 'app' })
    expect(await read(reader.openBlob(blob))).toEqual(big)
    expect(passed).toEqual([`${mirror.host}/app blob ${blob.digest} registry.unavailable`])
    mirror.lie = () => undefined
    mirror.blobs.set(blob.digest, Buffer.alloc(big.length))
    await expect(read(verifiedWhileRead(reader.openBlob(blob), blob, 'blob'))).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
    expect(passed).toHaveLength(1)
  })

  test('a blocked registry is not spoken to', async () => {
    const r = await registry()
    await expect(
      client({ [r.host]: { ...local, blocked: true } }).pin(parseReference(`${r.host}/app:v1`)),
    ).rejects.toMatchObject({ code: 'registry.address' })
    expect(r.seen).toEqual([])
  })

  test('H13 a blocked host is not spoken to for a single file either, nor with its default port written out', async () => {
    const lookup = () => {
      throw new Error('looked up')
    }
    const c = client({ 'blocked.example': { blocked: true } }, { lookup: lookup as never, retry: { attempts: 1 } })
    const refused = { code: 'registry.address', message: expect.stringContaining('blocked') }
    await expect(c.readFile(new URL('https://blocked.example/signature-1'), 100)).rejects.toMatchObject(refused)
    await expect(c.pin(parseReference('blocked.example:443/app:v1'))).rejects.toMatchObject(refused)
  })
})
