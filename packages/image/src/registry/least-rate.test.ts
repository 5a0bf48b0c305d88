import { afterEach, describe, expect, test, vi } from 'vitest'
import { parseReference } from '../oci/reference.ts'
import { MEDIA } from '../oci/media-types.ts'
import { big, client, content, local, manifest, read, registry, upload } from '../testing/registry-client.ts'
import { uploadBlob } from './upload.ts'
import { atLeast, checkedLeastRate, DEFAULT_LEAST_RATE, takenAtLeast } from './least-rate.ts'

/** Bytes that come after so many seconds each, by a clock that only they move. */
function dripping(steps: readonly (readonly [seconds: number, bytes: number])[]) {
  const clock = { ms: 0, closed: false }
  async function* source() {
    try {
      for (const [seconds, bytes] of steps) {
        clock.ms += seconds * 1000
        yield new Uint8Array(bytes)
      }
    } finally {
      clock.closed = true
    }
  }
  return { clock, source: source(), now: () => clock.ms }
}
const rate = { bytesPerSecond: 500, windowSeconds: 60 }

describe('H10 a source that drips', () => {
  test('is given up after the window, with the rate that was found and the one that is wanted', async () => {
    const { clock, source, now } = dripping(Array.from({ length: 100 }, () => [20, 1] as const))
    await expect(read(atLeast(source, rate, now, 'GET x'))).rejects.toMatchObject({
      code: 'registry.slow',
      message: 'GET x: 0.050 bytes a second over 60 s, at least 500 are wanted',
    })
    expect(clock).toEqual({ ms: 60_000, closed: true })
  })

  test('is given up in the window in which it begins to, whatever came before', async () => {
    const { clock, source, now } = dripping([[61, 1_000_000], ...Array.from({ length: 100 }, () => [59, 1] as const)])
    await expect(read(atLeast(source, rate, now, 'x'))).rejects.toMatchObject({ code: 'registry.slow' })
    expect(clock.ms).toBe(61_000 + 2 * 59_000)
  })

  test.each<[string, readonly (readonly [number, number])[]]>([
    ['as fast as is wanted', Array.from({ length: 50 }, () => [10, 5000] as const)],
    ['with long pauses and enough in between', Array.from({ length: 20 }, () => [59, 40_000] as const)],
    ['for less than the window', [[59, 1]]],
  ])('but one that comes %s is read to its end', async (_how, steps) => {
    const { source, now } = dripping(steps)
    expect(await read(atLeast(source, rate, now, 'x'))).toHaveLength(steps.reduce((sum, [, bytes]) => sum + bytes, 0))
  })

  test('a reader that takes its time is not held against it', async () => {
    const { clock, source, now } = dripping(Array.from({ length: 50 }, () => [1, 1000] as const))
    for await (const _chunk of atLeast(source, rate, now, 'x')) clock.ms += 600_000
  })

  test('0 takes any rate, and what is no rate is refused: nothing would be too slow for it', async () => {
    const { source, now } = dripping(Array.from({ length: 10 }, () => [600, 1] as const))
    expect(await read(atLeast(source, { ...rate, bytesPerSecond: 0 }, now, 'x'))).toHaveLength(10)
    expect(checkedLeastRate({})).toEqual(DEFAULT_LEAST_RATE)
    for (const wrong of [
      { bytesPerSecond: NaN },
      { bytesPerSecond: -1 },
      { windowSeconds: NaN },
      { windowSeconds: 0 },
      { windowSeconds: Infinity },
    ])
      expect(() => client({}, { leastRate: wrong })).toThrow(RangeError)
  })
})

afterEach(() => void vi.useRealTimers())

describe('H10 a target that takes bytes', () => {
  test.each([
    ['as fast as is wanted', 59, undefined],
    ['slower', 61, 'PATCH x: takes less than 30000 bytes in 60 s, at least 500 a second are wanted'],
  ])('%s', async (_how, seconds, refusal) => {
    vi.useFakeTimers()
    let slow: Error | undefined
    async function* source() {
      yield new Uint8Array(100_000)
    }
    const sizes: number[] = []
    for await (const piece of takenAtLeast(source(), rate, 'PATCH x', (error) => (slow = error))) {
      sizes.push(piece.length)
      await vi.advanceTimersByTimeAsync(seconds * 1000)
    }
    expect(slow?.message).toBe(refusal)
    expect(sizes).toEqual([30_000, 30_000, 30_000, 10_000])
  })
})

describe('H10 a registry that drips', () => {
  /** Answers with a few bytes of a blob, each of which takes 20 s by the clock. */
  async function drippingRegistry(slowConnections: number, mirrored = false) {
    const [r, home] = [await registry(), await registry()]
    const clock = { ms: 0 }
    const blob = content(big)
    for (const each of [r, home]) each.blobs.set(blob.digest, big)
    let slow = slowConnections
    const timers = new Set<NodeJS.Timeout>()
    r.lie = (seen, response) => {
      if (slow-- <= 0) return undefined
      let at = Number(/=(\d+)-/.exec(seen.headers.range ?? '=0-')?.[1])
      response.writeHead(at === 0 ? 200 : 206, { 'content-range': `bytes ${at}-${big.length - 1}/${big.length}` })
      const timer = setInterval(() => {
        clock.ms += 20_000
        response.write(big.subarray(at, ++at))
      }, 4)
      timers.add(timer)
      response.on('close', () => clearInterval(timer))
      return true
    }
    const hosts = mirrored
      ? { [home.host]: { ...local, mirrors: [{ registry: r.host }] }, [r.host]: local }
      : { [r.host]: local }
    const c = client(hosts, { now: () => clock.ms })
    const reader = c.reader({ registry: mirrored ? home.host : r.host, path: 'app' })
    return { r, home, c, readBlob: () => read(reader.openBlob(blob)) }
  }

  test('for one connection: the blob is taken up where it was', async () => {
    const { r, readBlob } = await drippingRegistry(1)
    expect(await readBlob()).toEqual(big)
    expect(r.seen[1]!.headers.range).toMatch(/^bytes=[1-9]\d*-$/)
  })

  test('for two in a row: given up, though each gave some bytes', async () => {
    const { r, readBlob } = await drippingRegistry(Infinity)
    await expect(readBlob()).rejects.toMatchObject({
      code: 'registry.slow',
      message: expect.stringMatching(/blobs\/sha256:.* bytes a second over \d+ s, at least 500 are wanted/),
    })
    expect(r.seen).toHaveLength(2)
  })

  test('and is a mirror: the registry itself is asked for the rest', async () => {
    const { home, readBlob } = await drippingRegistry(Infinity, true)
    expect(await readBlob()).toEqual(big)
    expect(home.seen[0]!.headers.range).toMatch(/^bytes=[1-9]/)
  })

  test('its manifests is asked again', async () => {
    const { r, c } = await drippingRegistry(1)
    const digest = r.put('app', 'v1', manifest(), MEDIA.manifest)
    const pinned = await c.pin(parseReference(`${r.host}/app:v1`))
    expect([pinned.digest, r.seen.length]).toEqual([digest, 2])
  })

  test('while it takes: an upload that it does not take in time is given up, one that it takes is not', async () => {
    const r = await registry()
    const huge = Buffer.alloc(20_000_000)
    const leastRate = { bytesPerSecond: 1_000_000, windowSeconds: 0.1 }
    const endpoint = client({ [r.host]: local }, { leastRate, idleSeconds: 30 }).endpoint({
      registry: r.host,
      path: 'app',
    })
    const options = { chunkBytes: huge.length }
    r.lie = (seen, _response, request) => (seen.method === 'PATCH' ? (request.pause(), true) : undefined)
    let opened = 0
    const counted = { ...upload(huge), open: (offset: number) => (opened++, upload(huge).open(offset)) }
    await expect(uploadBlob(endpoint, counted, options)).rejects.toMatchObject({
      code: 'registry.slow',
      message: expect.stringContaining('takes less than 100000 bytes in 0.1 s, at least 1000000 a second are wanted'),
    })
    expect(opened).toBe(5)
    r.lie = () => undefined
    const patient = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await uploadBlob(patient, upload(huge), options)).toBe('uploaded')
    expect(r.blobs.get(content(huge).digest)?.equals(huge)).toBe(true)
    const free = client({ [r.host]: local }, { leastRate: { bytesPerSecond: 0 } }).endpoint({
      registry: r.host,
      path: 'app',
    })
    expect(await uploadBlob(free, upload(big))).toBe('uploaded')
  })

  test('its headers is given up too', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const r = await registry()
    // each byte would end the silence of a connection; the minute for an answer passes by the clock of the test
    r.lie = (_seen, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\nA: ')
      vi.advanceTimersByTime(2 * 60_000)
      return true
    }
    const c = client({ [r.host]: local }, { idleSeconds: 60, retry: { attempts: 2, firstDelayMs: 1 } })
    await expect(c.pin(parseReference(`${r.host}/app:v1`))).rejects.toMatchObject({
      code: 'registry.slow',
      message: expect.stringContaining('no answer has begun after 120 s'),
    })
    expect(r.seen).toHaveLength(2)
  })
})
