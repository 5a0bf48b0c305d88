import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../oci/digest.ts'
import { parseReference } from '../oci/reference.ts'
import { counting, fresh, image, openStore, request } from '../testing/pull.ts'
import { file, hard } from '../testing/unpack.ts'
import { FAITHFUL, HARDENED } from '../unpack/profile.ts'
import { type PullPolicy, pullToDirectory, pullToStore } from './pull-image.ts'
import { SnapshotStore } from './store.ts'

describe('the store', () => {
  test('GU-16 layers are shared by digest and are not fetched again', async () => {
    const base = [file('base')]
    const [one, two] = [await image([base, [file('one')]]), await image([base, [file('two')]])]
    const store = openStore()
    const fetched: Digest[] = []
    const first = await pullToStore(
      store,
      HARDENED,
      request(
        counting(one.source, (d) => fetched.push(d)),
        one.digest,
      ),
    )
    expect(first.reusedLayers).toBe(0)
    const second = await pullToStore(
      store,
      HARDENED,
      request(
        counting(two.source, (d) => fetched.push(d)),
        two.digest,
      ),
    )
    expect(second.reusedLayers).toBe(1)
    expect(fetched.filter((d) => d === one.layerDigests[0])).toHaveLength(1)
    expect(second.lowerDirs[1]).toBe(first.lowerDirs[1])
  })

  test('GU-16 the policy is asked on every pull, with the name as it was asked, also when all is stored', async () => {
    const { source, digest } = await image([[file('x')]])
    const store = openStore()
    const seen: string[] = []
    const policy: PullPolicy = ({ asked }) => {
      seen.push(asked.registry)
      return Promise.resolve(
        asked.registry === 'strict.example' ? { kind: 'refuse', reasons: ['not signed by us'] } : { kind: 'accept' },
      )
    }
    await pullToStore(store, HARDENED, request(source, digest, { policy }))
    const strict = { ...request(source, digest, { policy }), asked: parseReference('strict.example/app:v1') }
    await expect(pullToStore(store, HARDENED, strict)).rejects.toMatchObject({
      code: 'policy.refused',
      message: expect.stringContaining('not signed by us'),
    })
    expect(seen).toEqual(['registry.example', 'strict.example'])
    expect(store.list()[0]!.references).toEqual(['registry.example/app:v1'])
  })

  test('nothing behind the manifest is fetched before the policy agreed', async () => {
    const { source, digest } = await image([[file('x')]])
    const fetched: Digest[] = []
    const policy: PullPolicy = () => Promise.resolve({ kind: 'refuse', reasons: ['no'] })
    const spy = counting(source, (d) => fetched.push(d))
    await expect(pullToStore(openStore(), HARDENED, request(spy, digest, { policy }))).rejects.toMatchObject({
      code: 'policy.refused',
    })
    await expect(pullToDirectory(fresh(), request(spy, digest, { policy }))).rejects.toMatchObject({
      code: 'policy.refused',
    })
    expect(fetched).toEqual([])
  })

  test('K04 a policy that fails is not a policy that agrees', async () => {
    const { source, digest } = await image([[file('x')]])
    const policy: PullPolicy = () => Promise.reject(new Error('key server down'))
    await expect(pullToStore(openStore(), HARDENED, request(source, digest, { policy }))).rejects.toThrow(
      'key server down',
    )
  })

  const damage: [string, (root: string) => void][] = [
    ['a byte', (root) => writeFileSync(path.join(root, 'bin/run'), 'evil')],
    ['a mode', (root) => chmodSync(path.join(root, 'bin/run'), 0o777)],
    ['a file more', (root) => writeFileSync(path.join(root, 'bin/more'), '')],
    ['a file less', (root) => rmSync(path.join(root, 'bin/run'))],
    ['its listing', (root) => writeFileSync(path.join(root, '../listing'), '')],
    ['no listing', (root) => rmSync(path.join(root, '../listing'))],
  ]
  test.each(damage)('a snapshot with %s changed is noticed, told, and made again', async (_what, change) => {
    const { source, digest } = await image([[file('bin/run', 'good')]])
    const store = openStore()
    const { lowerDirs } = await pullToStore(store, HARDENED, request(source, digest))
    change(lowerDirs[0]!)
    const again = await pullToStore(store, HARDENED, request(source, digest))
    expect(again).toMatchObject({ reusedLayers: 0, repaired: [{ difference: expect.any(String) }] })
    expect(readFileSync(path.join(again.lowerDirs[0]!, 'bin/run'), 'utf8')).toBe('good')
    expect((await pullToStore(store, HARDENED, request(source, digest))).repaired).toEqual([])
  })

  test('GU-25 images are listed and removed, shared snapshots stay, and all that survives a restart', async () => {
    const base = [file('base')]
    const [one, two] = [await image([base, [file('one')]]), await image([base, [file('two')]])]
    const directory = fresh()
    const store = openStore(directory)
    const a = await pullToStore(store, HARDENED, request(one.source, one.digest))
    const b = await pullToStore(store, HARDENED, request(two.source, two.digest))
    store.close()
    const again = openStore(directory)
    expect(
      again
        .list()
        .map((stored) => stored.manifestDigest)
        .sort(),
    ).toEqual([one.digest, two.digest].sort())
    again.remove(one.digest)
    expect(a.lowerDirs.map((root) => existsSync(root))).toEqual([false, true])
    expect(b.lowerDirs.every((root) => existsSync(root))).toBe(true)
    expect(() => again.remove(one.digest)).toThrow(expect.objectContaining({ code: 'store.missing' }))
  })

  test('a record whose documents were changed is refused', async () => {
    const { source, digest } = await image([[file('x')]])
    const store = openStore()
    await pullToStore(store, HARDENED, request(source, digest))
    const record = path.join(store.directory, 'images', `${digest.replace(':', '-')}.json`)
    const changed = JSON.parse(readFileSync(record, 'utf8')) as { config: string }
    changed.config = Buffer.from('{}').toString('base64')
    writeFileSync(record, JSON.stringify(changed))
    expect(() => store.find(digest)).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
  })

  test('is for one process, of one user, with one profile', async () => {
    const directory = fresh()
    const store = openStore(directory)
    expect(() => SnapshotStore.open(directory, HARDENED)).toThrow(expect.objectContaining({ code: 'store.busy' }))
    store.close()
    expect(() => SnapshotStore.open(directory, FAITHFUL)).toThrow(expect.objectContaining({ code: 'store.profile' }))
    SnapshotStore.open(directory).close() // to look at it, or remove from it, no profile is needed
    writeFileSync(path.join(directory, 'lock-1-42'), '') // a process that is not the one that took it
    openStore(directory).close()
    expect(readdirSync(directory).filter((name) => name.startsWith('lock'))).toEqual([])
    chmodSync(directory, 0o755)
    expect(() => SnapshotStore.open(directory, HARDENED)).toThrow(expect.objectContaining({ code: 'store.filesystem' }))
  })

  test('a layer that fails leaves no image, no staging, and the good layers below it', async () => {
    const { source, digest } = await image([[file('good')], [file('../evil')]])
    const store = openStore()
    await expect(pullToStore(store, HARDENED, request(source, digest))).rejects.toMatchObject({ code: 'unpack.escape' })
    expect(store.list()).toEqual([])
    expect(readdirSync(path.join(store.directory, 'staging'))).toEqual([])
    expect(readdirSync(path.join(store.directory, 'layers/sha256'))).toHaveLength(1)
  })

  test('H10 copies of a lower file under many names count like files', async () => {
    const names = Array.from({ length: 20 }, (_, i) => i)
    const { source, digest } = await image([
      [file('f', 'x'.repeat(1000)), ...names.map((i) => hard(`f${i}`, 'f'))],
      names.map((i) => hard(`g${i}`, `f${i}`)),
    ])
    await expect(
      pullToStore(openStore(), HARDENED, request(source, digest, { limits: { maxTotalBytes: 15_000 } })),
    ).rejects.toMatchObject({ code: 'unpack.limit' })
  })

  test('H10 a layer that is stored in more than any layer may hold is not fetched', async () => {
    const { source, digest } = await image([[file('a', 'x'.repeat(9000))]])
    const fetched: Digest[] = []
    const spy = counting(source, (d) => fetched.push(d))
    const asking = request(spy, digest, { limits: { maxLayerBytes: 5000 } })
    await expect(pullToStore(openStore(), HARDENED, asking)).rejects.toMatchObject({ code: 'unpack.limit' })
    expect(fetched).toHaveLength(1) // the configuration
  })

  test('limits count over all layers', async () => {
    const { source, digest } = await image([[file('a', 'x'.repeat(600))], [file('b', 'x'.repeat(600))]])
    await expect(
      pullToStore(openStore(), HARDENED, request(source, digest, { limits: { maxTotalBytes: 1000 } })),
    ).rejects.toMatchObject({ code: 'unpack.limit' })
  })
})
