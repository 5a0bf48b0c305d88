import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../oci/digest.ts'
import { canMount } from '../testing/mount.ts'
import { counting, fresh, image, openStore, request } from '../testing/pull.ts'
import { dir, file } from '../testing/unpack.ts'
import { HARDENED } from '../unpack/profile.ts'
import { pullToStore } from './pull-image.ts'
import type { SnapshotStore } from './store.ts'

const recordOf = (store: SnapshotStore, digest: Digest) =>
  path.join(store.directory, 'images', `${digest.replace(':', '-')}.json`)
const snapshots = (store: SnapshotStore) => readdirSync(path.join(store.directory, 'layers/sha256')).length

describe('several pulls and removals at once', () => {
  test('two pulls of one image both end well, and leave one of each snapshot', async () => {
    const { source, digest } = await image([[file('a')], [file('b')]])
    const store = openStore()
    const remote = () => request(counting(source), digest)
    const pulls = await Promise.all([remote(), remote(), remote()].map((asked) => pullToStore(store, HARDENED, asked)))
    for (const { lowerDirs } of pulls) expect(lowerDirs.every((root) => existsSync(root))).toBe(true)
    expect(snapshots(store)).toBe(2)
    expect(readdirSync(path.join(store.directory, 'staging'))).toEqual([])
    expect((await pullToStore(store, HARDENED, remote())).reusedLayers).toBe(2)
  })

  test('a removal leaves the snapshots that a pull under way has found', async () => {
    const base = [file('base')]
    const [one, two] = [await image([base, [file('one')]]), await image([base, [file('two')]])]
    const store = openStore()
    await pullToStore(store, HARDENED, request(one.source, one.digest))
    const slow = counting(two.source, (digest) => {
      if (digest === two.layerDigests[1]) store.remove(one.digest)
    })
    const { lowerDirs, reusedLayers } = await pullToStore(store, HARDENED, request(slow, two.digest))
    expect(reusedLayers).toBe(1)
    expect(lowerDirs.every((root) => existsSync(root))).toBe(true)
    expect(snapshots(store)).toBe(2)
  })

  test('a snapshot that two pulls hold stays until both have ended', async () => {
    const { source, digest } = await image([[file('a')]])
    const store = openStore()
    const { stored } = await pullToStore(store, HARDENED, request(source, digest))
    const [one, two] = [store.hold(stored.chain), store.hold(stored.chain)]
    one[Symbol.dispose]()
    store.remove(digest)
    expect(snapshots(store)).toBe(1)
    two[Symbol.dispose]()
    const other = await image([[file('b')]])
    await pullToStore(store, HARDENED, request(other.source, other.digest))
    store.remove(other.digest)
    expect(snapshots(store)).toBe(0)
  })

  test('processes that come at once after a crash do not all get in', async () => {
    const directory = fresh()
    openStore(directory).close()
    writeFileSync(path.join(directory, 'lock-1-42'), '')
    const program = `
      const { SnapshotStore } = await import(${JSON.stringify(path.join(import.meta.dirname, 'store.ts'))})
      const { HARDENED } = await import(${JSON.stringify(path.join(import.meta.dirname, '../unpack/profile.ts'))})
      process.stdin.once('data', () => {
        try { SnapshotStore.open(process.argv[1], HARDENED); console.log('in') } catch (error) { console.log(error.code) }
        setTimeout(() => process.exit(), 500)
      })
      console.log('ready')`
    const said = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory])
      const lines: string[] = []
      const ready = new Promise<void>((resolve) => {
        child.stdout.on('data', (text: Buffer) => {
          lines.push(...text.toString().split('\n').filter(Boolean))
          resolve()
        })
      })
      const ended = new Promise<string | undefined>((resolve) => child.on('exit', () => resolve(lines[1])))
      return { child, ready, ended }
    })
    await Promise.all(said.map(({ ready }) => ready))
    for (const { child } of said) child.stdin.end('go')
    const answers = await Promise.all(said.map(({ ended }) => ended))
    expect(answers.filter((answer) => answer === 'in').length).toBeLessThanOrEqual(1)
    expect(answers.filter((answer) => answer === 'in' || answer === 'store.busy')).toHaveLength(4)
  })
})

describe('after a crash', () => {
  test('a record that never reached the disk is told; pulling or removing mends it, and costs no other image', async () => {
    const [one, two] = [await image([[file('one')]]), await image([[file('two')]])]
    const store = openStore()
    await pullToStore(store, HARDENED, request(one.source, one.digest))
    const kept = await pullToStore(store, HARDENED, request(two.source, two.digest))
    truncateSync(recordOf(store, one.digest))
    expect(() => store.list()).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
    const { stored } = await pullToStore(store, HARDENED, request(one.source, one.digest))
    expect(stored.references).toEqual(['registry.example/app:v1'])
    truncateSync(recordOf(store, one.digest))
    store.remove(one.digest)
    expect(store.list().map(({ manifestDigest }) => manifestDigest)).toEqual([two.digest])
    expect(kept.lowerDirs.every((root) => existsSync(root))).toBe(true)
  })

  test('while a record is damaged, no snapshot that its image may need is taken away', async () => {
    const [one, two] = [await image([[file('one')]]), await image([[file('two')]])]
    const store = openStore()
    const lost = await pullToStore(store, HARDENED, request(one.source, one.digest))
    await pullToStore(store, HARDENED, request(two.source, two.digest))
    truncateSync(recordOf(store, one.digest))
    store.remove(two.digest)
    expect(lost.lowerDirs.every((root) => existsSync(root))).toBe(true)
  })

  test('snapshots of pulls that never ended go with the next removal', async () => {
    const [failing, other] = [await image([[file('good')], [file('../evil')]]), await image([[file('other')]])]
    const store = openStore()
    await expect(pullToStore(store, HARDENED, request(failing.source, failing.digest))).rejects.toThrow('evil')
    await pullToStore(store, HARDENED, request(other.source, other.digest))
    expect(snapshots(store)).toBe(2)
    store.remove(other.digest)
    expect(snapshots(store)).toBe(0)
  })
})

describe.runIf(canMount)('on this machine', () => {
  test('an image is not removed while it is mounted', async () => {
    const { source, digest } = await image([[file('a')], [file('b')]])
    const store = openStore()
    const { lowerDirs } = await pullToStore(store, HARDENED, request(source, digest))
    const target = fresh()
    mkdirSync(target)
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lowerDirs.join(':')}`, target])
    try {
      expect(() => store.remove(digest)).toThrow(expect.objectContaining({ code: 'store.busy' }))
      expect(existsSync(path.join(target, 'a'))).toBe(true)
    } finally {
      execFileSync('umount', [target])
    }
    store.remove(digest)
    expect(store.list()).toEqual([])
  })

  test('a full disk is told as what it is, and nothing half done stays', async () => {
    const place = fresh()
    mkdirSync(place)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', place])
    try {
      const { source, digest } = await image([[file('large', 'x'.repeat(2_000_000))]])
      const store = openStore(place)
      for (const from of [source, counting(source)])
        await expect(pullToStore(store, HARDENED, request(from, digest))).rejects.toMatchObject({
          code: 'unpack.filesystem',
          message: expect.stringContaining('ENOSPC'),
        })
      expect(readdirSync(path.join(place, 'staging'))).toEqual([])
      spawnSync('sh', ['-c', `head -c 2000000 /dev/zero >${place}/filler`])
      const small = await image([[file('a')]])
      await expect(pullToStore(store, HARDENED, request(small.source, small.digest))).rejects.toMatchObject({
        code: expect.stringMatching(/^(store|unpack)\.filesystem$/),
      })
      store.close()
    } finally {
      execFileSync('umount', [place])
    }
  })

  test('who is not root keeps files and directories that are closed to their owner', async () => {
    const { directory, digest } = await image([
      [{ ...file('etc/shadow', 'secret'), mode: 0 }, { ...dir('closed'), mode: 0 }, file('closed/x')],
    ])
    const store = fresh()
    mkdirSync(store)
    for (const place of [path.dirname(store), store, directory]) chmodSync(place, 0o777)
    const program = `
      const at = (name) => import(${JSON.stringify(path.join(import.meta.dirname, '..'))} + '/' + name)
      const { SnapshotStore } = await at('pull/store.ts')
      const { HARDENED } = await at('unpack/profile.ts')
      const { pullToStore } = await at('pull/pull-image.ts')
      const { ImageLayout } = await at('layout/layout.ts')
      const { parseReference } = await at('oci/reference.ts')
      const [directory, layout, digest] = process.argv.slice(1)
      const store = SnapshotStore.open(directory + '/own', HARDENED)
      const source = await ImageLayout.open(layout)
      const asked = parseReference('registry.example/app:v1')
      const pull = () => pullToStore(store, HARDENED, { source, asked, digest, policy: async () => ({ kind: 'accept' }) })
      await pull()
      const { reusedLayers } = await pull()
      store.remove(digest)
      console.log(process.getuid(), reusedLayers, store.list().length)
      store.close()`
    const nobody = { uid: 65534, gid: 65534, encoding: 'utf8', env: { PATH: process.env['PATH'] } } as const
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program, store, directory, digest], nobody)
    expect(ran.stderr).toBe('')
    expect(ran.stdout).toBe('65534 1 0\n')
  })
})
