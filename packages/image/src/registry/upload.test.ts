import { describe, expect, test } from 'vitest'
import { digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { registry, local, client, bytesOf, content, manifest, big, upload } from '../testing/registry-client.ts'
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
