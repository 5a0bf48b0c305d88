import { expect, test } from 'vitest'
import { killLoop } from '../testing/kill-loop.ts'

test('J09 I01 two hundred releases with SIGKILL at forty random points: every acknowledged decision is in the ledger', async () => {
  const { acknowledged, recorded, check, kills } = await killLoop(200, 40)
  expect(check.ok).toBe(true)
  expect(kills).toBeGreaterThan(20)
  expect(acknowledged.filter((id) => !recorded.has(id))).toEqual([])
}, 800_000)
