import { expect, test } from 'vitest'
import { unpackHostile } from '../testing/hostile.ts'

test('H07 H08 H10 five minutes of random hostile images: trees and typed errors only, nothing outside is touched', async () => {
  const outcomes = await unpackHostile({ numRuns: 10_000_000, interruptAfterTimeLimit: 300_000 })
  console.log(Object.fromEntries(outcomes))
  expect(outcomes.get('unpacked')).toBeGreaterThan(100)
})
