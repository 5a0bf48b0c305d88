import { describe, expect, test } from 'vitest'
import { digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { registry, local, client, bytesOf, content, manifest, big, upload } from '../testing/registry-client.ts'
import type { Seen } from '../testing/registry.ts'
import { putManifest } from './referrers.ts'
import { uploadBlob } from './upload.ts'

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

  test('asking for many blobs that are there does not take a connection for each', async () => {
    const r = await registry()
    const sockets = new Set<unknown>()
    r.lie = (_seen, _response, request) => void sockets.add(request.socket)
    r.blobs.set(content(big).digest, big)
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    for (let i = 0; i < 6; i++) expect(await uploadBlob(endpoint, upload(big))).toBe('present')
    expect(sockets.size).toBeLessThanOrEqual(2)
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

  test('an upload whose last answer is lost has arrived all the same', async () => {
    const r = await registry()
    let lost = 0
    r.lie = (seen, response) => {
      if (seen.method !== 'PUT' || lost++ > 0) return undefined
      r.blobs.set(content(big).digest, big)
      r.uploads.clear()
      response.destroy()
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await uploadBlob(endpoint, upload(big))).toBe('uploaded')
    expect(lost).toBe(2)
  })

  test.each([
    ['in chunks', false],
    ['whole', true],
  ])('a registry that is busy is let alone for a while between attempts, %s', async (_how, isWhole) => {
    const r = await registry()
    const at: number[] = []
    r.lie = (seen, response, request) => {
      const status = seen.method === 'PUT' ? 503 : seen.method !== 'PATCH' ? undefined : isWhole ? 405 : 503
      if (status === undefined) return undefined
      if (status === 503) at.push(performance.now())
      request.resume().on('end', () => response.writeHead(status).end())
      return true
    }
    const c = client({ [r.host]: local }, { retry: { attempts: 5, firstDelayMs: 160, maxDelayMs: 160 } })
    const uploading = uploadBlob(c.endpoint({ registry: r.host, path: 'app' }), upload(big))
    await expect(uploading).rejects.toMatchObject({ code: 'registry.unavailable' })
    // half of each delay is chance: at the least four times 80 ms, but for what timers round away
    expect(at).toHaveLength(5)
    expect(at.at(-1)! - at[0]!).toBeGreaterThan(310)
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

  test.each([300_000, 70_000])(
    'H06 a source with other bytes is told of before a registry that does not look has them, in chunks of %i',
    async (chunkBytes) => {
      const r = await registry()
      const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
      const changed = Buffer.from(big)
      changed[250_000]! ^= 1
      const lying = { ...upload(big), open: upload(changed).open }
      await expect(uploadBlob(endpoint, lying, { chunkBytes })).rejects.toMatchObject({ code: 'digest.mismatch' })
      expect(r.seen.some(({ method }) => method === 'PUT')).toBe(false)
    },
  )

  test.each([
    ['more of a blob than it was sent', '0-199999'],
    ['more than the blob has', '0-999999999'],
  ])('H06 a registry that claims %s is not believed, and nothing is committed there', async (_what, range) => {
    const r = await registry()
    let breaks = 1
    r.lie = (seen, response, request) => {
      if (seen.method === 'GET') response.writeHead(204, { range }).end()
      else if (seen.method === 'PATCH' && breaks-- > 0) request.once('data', () => response.destroy())
      else if (seen.method === 'PUT') response.writeHead(201).end()
      else return undefined
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    await expect(uploadBlob(endpoint, upload(big), { chunkBytes: 100_000 })).rejects.toMatchObject({
      code: 'registry.protocol',
      message: expect.stringMatching(/has \d+ bytes of an upload, \d+ were sent/),
    })
    expect(r.seen.some(({ method }) => method === 'PUT')).toBe(false)
  })

  test('H06 a registry that takes a chunk before it has it is not believed', async () => {
    const r = await registry()
    r.lie = (seen, response) => {
      if (seen.method !== 'PATCH') return undefined
      response.writeHead(202, { location: seen.path, range: '0-299999', 'content-length': 0 }).end()
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    const held = async function* () {
      yield big.subarray(0, 1000)
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref())
    }
    await expect(uploadBlob(endpoint, { ...upload(big), open: held })).rejects.toMatchObject({
      code: 'registry.protocol',
      message: expect.stringContaining('has 300000 bytes of an upload, 1000 were sent'),
    })
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

describe('a registry that does not take every form', () => {
  type Refuses = (seen: Seen, earlier: readonly Seen[]) => boolean
  const isPatch: Refuses = ({ method }) => method === 'PATCH'

  async function refusing(refuses: Refuses, status: number, more: Record<string, string> = {}) {
    const r = await registry()
    r.lie = (seen, response, request) => {
      if (!refuses(seen, r.seen.slice(0, -1))) return undefined
      request.resume().on('end', () => response.writeHead(status, more).end())
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    const sent = (from = 0) =>
      r.seen.slice(from).map(({ method, headers }) => `${method} ${headers['content-length'] ?? '-'}`)
    return { r, endpoint, sent }
  }

  test.each([400, 404, 405, 411, 415, 416, 501])(
    'chunks, with %i: the blob goes whole, and the next one at once',
    async (status) => {
      const { r, endpoint, sent } = await refusing(isPatch, status)
      const progress: number[] = []
      const options = { onProgress: (bytes: number) => progress.push(bytes) }
      expect(await uploadBlob(endpoint, upload(big), options)).toBe('uploaded')
      expect(r.blobs.get(content(big).digest)).toEqual(big)
      expect(sent().slice(-2)).toEqual(['POST 0', 'PUT 300000'])
      expect(progress.at(-1)).toBe(big.length)
      const before = r.seen.length
      const next = Buffer.alloc(1000, 3)
      expect(await uploadBlob(endpoint, upload(next))).toBe('uploaded')
      expect(sent(before)).toEqual(['HEAD -', 'POST 0', 'PUT 1000'])
      expect(await uploadBlob(endpoint, upload(Buffer.alloc(0)))).toBe('uploaded')
    },
  )

  test('a second chunk: all of the blob goes again, whole', async () => {
    const { r, endpoint, sent } = await refusing(
      (seen) => seen.method === 'PATCH' && !seen.headers['content-range']!.startsWith('0-'),
      416,
    )
    expect(await uploadBlob(endpoint, upload(big), { chunkBytes: 100_000 })).toBe('uploaded')
    expect(r.blobs.get(content(big).digest)).toEqual(big)
    expect(sent().at(-1)).toBe('PUT 300000')
  })

  test('being asked how far it got: the upload starts over', async () => {
    const r = await registry()
    let breaks = 1
    r.lie = (seen, response) => {
      if (seen.method === 'GET') response.writeHead(405).end()
      else if (seen.method === 'PATCH' && breaks-- > 0) response.destroy()
      else return undefined
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await uploadBlob(endpoint, upload(big))).toBe('uploaded')
    expect(r.blobs.get(content(big).digest)).toEqual(big)
    expect(r.seen.filter(({ method }) => method === 'PATCH')).toHaveLength(2)
  })

  test.each([400, 404, 405, 501])('mounting, with %i: the blob is sent', async (status) => {
    const { r, endpoint } = await refusing(({ query }) => query.has('mount'), status)
    expect(await uploadBlob(endpoint, upload(big), { mountFrom: 'other' })).toBe('uploaded')
    expect(r.blobs.get(content(big).digest)).toEqual(big)
  })

  test.each<[string, Refuses, number, string]>([
    ['chunks to us', isPatch, 403, 'registry.denied'],
    ['chunks to us', isPatch, 401, 'registry.denied'],
    ['mounting to us', ({ query }) => query.has('mount'), 403, 'registry.denied'],
    ['uploads to us', ({ method }) => method === 'POST', 403, 'registry.denied'],
    ['chunks of this size', isPatch, 413, 'registry.protocol'],
  ])('%s, which another form would only hide: %i stands', async (_what, refuses, status, code) => {
    const { r, endpoint } = await refusing(refuses, status, { 'www-authenticate': 'Negotiate' })
    await expect(uploadBlob(endpoint, upload(big), { mountFrom: 'other' })).rejects.toMatchObject({ code })
    expect(r.seen.at(-1)!.method).toBe(refuses === isPatch ? 'PATCH' : 'POST')
  })

  test('a whole blob to us: 403 stands too', async () => {
    const { endpoint } = await refusing((seen) => isPatch(seen, []) || seen.method === 'PUT', 405)
    await expect(uploadBlob(endpoint, upload(big))).rejects.toMatchObject({
      code: 'registry.protocol',
      message: expect.stringMatching(/PUT .*405.*in chunks: PATCH .*405/),
    })
    const { r, endpoint: other } = await refusing(isPatch, 405)
    const refuse = r.lie
    r.lie = (seen, response, request) => {
      if (seen.method !== 'PUT') return refuse(seen, response, request)
      request.resume().on('end', () => response.writeHead(403).end())
      return true
    }
    await expect(uploadBlob(other, upload(big))).rejects.toMatchObject({ code: 'registry.denied' })
  })

  test('what breaks while a blob goes whole is tried again, so often and no more', async () => {
    const { r, endpoint } = await refusing(isPatch, 405)
    const refuse = r.lie
    let breaks = 2
    r.lie = (seen, response, request) => {
      if (seen.method !== 'PUT' || breaks-- <= 0) return refuse(seen, response, request)
      request.once('data', () => response.destroy())
      return true
    }
    expect(await uploadBlob(endpoint, upload(big))).toBe('uploaded')
    expect(r.blobs.get(content(big).digest)).toEqual(big)
    r.blobs.clear()
    breaks = Infinity
    const before = r.seen.length
    await expect(uploadBlob(endpoint, upload(big))).rejects.toMatchObject({ code: 'registry.unavailable' })
    expect(r.seen.slice(before).filter(({ method }) => method === 'PUT')).toHaveLength(5)
  })

  test('H06 other bytes than the digest’s never arrive whole, at a registry that does not look either', async () => {
    const { r, endpoint } = await refusing(isPatch, 405)
    const changed = Buffer.from(big)
    changed[250_000]! ^= 1
    let arrived = 0
    const refuse = r.lie
    r.lie = (seen, response, request) => {
      if (seen.method !== 'PUT') return refuse(seen, response, request)
      request.on('data', (bytes: Buffer) => (arrived += bytes.length))
      request.on('end', () => response.writeHead(201).end())
      return true
    }
    for (const bytes of [changed, big.subarray(0, 10)])
      await expect(uploadBlob(endpoint, { ...upload(big), open: upload(bytes).open })).rejects.toMatchObject({
        code: 'digest.mismatch',
      })
    expect(arrived).toBeLessThan(big.length)
  })

  test('an answer before the blob is whole: the rest is not sent after it', async () => {
    const r = await registry()
    const huge = Buffer.alloc(8_000_000)
    let ended: (whole: boolean) => void = () => undefined
    const isWhole = new Promise<boolean>((resolve) => (ended = resolve))
    r.lie = (seen, response, request) => {
      if (seen.method !== 'PATCH') return undefined
      response.writeHead(403, { 'content-length': 0 }).end()
      request.socket.on('close', () => ended(false))
      request.on('end', () => ended(true))
      request.resume()
      return true
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    const slices = async function* () {
      for (let at = 0; at < huge.length; at += 50_000) {
        yield huge.subarray(at, at + 50_000)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    await expect(uploadBlob(endpoint, { ...upload(huge), open: slices })).rejects.toMatchObject({
      code: 'registry.denied',
    })
    expect(await isWhole).toBe(false)
  })

  test('H10 one that takes a chunk and loses it each time is given up', async () => {
    const r = await registry()
    let odd = false
    r.lie = (seen, response, request) => {
      if (seen.method === 'PATCH') {
        odd = !odd
        if (odd) return undefined
        for (const id of r.uploads.keys()) r.uploads.set(id, Buffer.alloc(0))
        request.resume().on('end', () => response.destroy())
        return true
      }
      return undefined
    }
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    await expect(uploadBlob(endpoint, upload(big), { chunkBytes: 100_000 })).rejects.toMatchObject({
      code: 'registry.unavailable',
    })
  })
})
