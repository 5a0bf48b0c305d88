import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { blobPath } from '../layout/layout.ts'
import { MEDIA } from '../oci/media-types.ts'
import { RegistryClient } from '../registry/client.ts'
import { pushImage } from '../registry/transfer.ts'
import { rawTar } from '../testing/archive.ts'
import { counting, image, openStore, request } from '../testing/pull.ts'
import { FakeRegistry } from '../testing/registry.ts'
import { file } from '../testing/unpack.ts'
import { HARDENED } from '../unpack/profile.ts'
import { type PullProgress, pullToStore } from './pull-image.ts'

describe('GU-08 from a registry', () => {
  test('layers come side by side, verified, with progress to the last byte', async () => {
    const layers = Array.from({ length: 6 }, (_, i) => [file(`f${i}`, `${i}`.repeat(50_000))])
    const { source, digest } = await image(layers)
    const registry = await new FakeRegistry().start()
    const client = new RegistryClient({ hosts: { [registry.host]: { plainHttp: true, privateNetwork: true } } })
    try {
      const name = { registry: registry.host, path: 'app' }
      await pushImage(source, digest, client.endpoint(name), { tag: 'v1' })
      let open = 0
      let most = 0
      registry.lie = (seen, response) => {
        if (seen.method !== 'GET' || !seen.path.includes('/blobs/')) return undefined
        most = Math.max(most, ++open)
        const content = registry.blobs.get(seen.path.split('/').at(-1)!)!
        setTimeout(() => {
          open--
          response.writeHead(200, { 'content-length': content.length }).end(content)
        }, 20)
        return true
      }
      const progress: PullProgress[] = []
      const report = await pullToStore(
        openStore(),
        HARDENED,
        request(client.reader(name), digest, { parallel: 3, onProgress: (p) => progress.push(p) }),
      )
      expect(most).toBeGreaterThan(1)
      expect(most).toBeLessThanOrEqual(4)
      for (const layer of layers.keys())
        for (const phase of ['fetch', 'unpack'] as const) {
          const last = progress.findLast((p) => p.layer === layer && p.phase === phase)
          expect([last?.bytes, last?.layers]).toEqual([last?.size, 6])
        }
      expect(report.lowerDirs).toHaveLength(6)
    } finally {
      client.close()
      registry.close()
    }
  })

  test('a layer that fails is told at once, also while others hang', async () => {
    const { source, digest, layerDigests } = await image([[file('../evil')], [file('slow')], [file('slower')]])
    const registry = await new FakeRegistry().start()
    const client = new RegistryClient({ hosts: { [registry.host]: { plainHttp: true, privateNetwork: true } } })
    try {
      const name = { registry: registry.host, path: 'app' }
      await pushImage(source, digest, client.endpoint(name))
      registry.lie = ({ method, path }) =>
        method === 'GET' && layerDigests.slice(1).some((layer) => path.endsWith(layer)) ? true : undefined
      const store = openStore()
      const start = performance.now()
      await expect(pullToStore(store, HARDENED, request(client.reader(name), digest))).rejects.toMatchObject({
        code: 'unpack.escape',
      })
      expect(performance.now() - start).toBeLessThan(30_000) // and not the minute that a connection may be silent
      expect(readdirSync(path.join(store.directory, 'staging'))).toEqual([])
    } finally {
      client.close()
      registry.close()
    }
  })

  test('H06 a blob that is not what its digest says never reaches the decompressor', async () => {
    const { source, digest, directory, layerDigests } = await image([
      [file('x')],
      { tar: rawTar([file('y')]), blob: zlib.gzipSync(rawTar([file('y')])), mediaType: MEDIA.layerGzip },
    ])
    writeFileSync(blobPath(directory, layerDigests[1]!), zlib.gzipSync(rawTar([file('z')])))
    await expect(pullToStore(openStore(), HARDENED, request(counting(source), digest))).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
  })

  test('ending it stops the fetching', async () => {
    const { source, digest } = await image([[file('x')], [file('y')]])
    const signal = AbortSignal.abort()
    await expect(
      pullToStore(openStore(), HARDENED, request(counting(source), digest, { signal })),
    ).rejects.toMatchObject({ code: 'aborted' })
  })
})
