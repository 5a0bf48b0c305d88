import { expect, test } from 'vitest'
import { killLoop } from '../testing/kill-loop.ts'

test('J09 I01 a broker killed with SIGKILL among releases loses none that it acknowledged', async () => {
  const { acknowledged, recorded, check, kills } = await killLoop(20, 3)
  expect(check.ok).toBe(true)
  expect(kills).toBeGreaterThan(0)
  expect(acknowledged.filter((id) => !recorded.has(id))).toEqual([])
}, 120_000)
