import { createHash, createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { startHash } from './hash-lane.ts'

const MUCH = 2 ** 40
const key = new Uint8Array(32).fill(7)

describe.each([
  ['in place', 0],
  ['in a thread, where there are processors', MUCH],
])('a hash %s', (_where, expectedBytes) => {
  test('is the hash, however the stream was cut', async () => {
    const sizes = fc.array(fc.nat(2_500_000), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (lengths, keyed) => {
        using lane = startHash('sha256', { expectedBytes, ...(keyed ? { key } : {}) })
        const wanted = keyed ? createHmac('sha256', key) : createHash('sha256')
        for (const [n, length] of lengths.entries()) {
          const chunk = new Uint8Array(length).fill(n + 1)
          wanted.update(chunk)
          await lane.update(chunk)
          chunk.fill(0xff) // the caller's again
        }
        expect(Buffer.from(await lane.digest()).equals(wanted.digest())).toBe(true)
      }),
      { numRuns: 4, seed: 6 },
    )
  })

  test('knows SHA-512', async () => {
    using lane = startHash('sha512', { expectedBytes })
    await lane.update(key)
    expect(Buffer.from(await lane.digest())).toEqual(createHash('sha512').update(key).digest())
  })

  test('is an error, and no digest, where it cannot be taken', async () => {
    const take = async () => {
      using lane = startHash('sha999' as 'sha256', { expectedBytes })
      for (let n = 0; n < 20; n++) await lane.update(new Uint8Array(1_000_000))
      return await lane.digest()
    }
    await expect(take()).rejects.toThrow('Digest method not supported')
  })
})

test('more hashes than there are threads for run in place, and one that is left early leaves no thread', async () => {
  const before = await endedBefore()
  const lanes = Array.from({ length: 8 }, () => startHash('sha256', { expectedBytes: MUCH }))
  expect(ports() - before).toBeLessThanOrEqual(3)
  for (const lane of lanes) await lane.update(key)
  const digests = await Promise.all(lanes.map((lane) => lane.digest()))
  expect(new Set(digests.map((d) => Buffer.from(d).toString('hex'))).size).toBe(1)
  for (const lane of lanes) lane[Symbol.dispose]()
  await vi.waitFor(() => expect(ports()).toBe(before), { timeout: 10_000 })
})

/** Threads of the tests before may still be ending. */
async function endedBefore(): Promise<number> {
  for (let last = ports(); ; last = ports()) {
    await sleep(100)
    if (ports() === last) return last
  }
}

function ports(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length
}
