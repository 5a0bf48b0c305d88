import { FUZZ_SECONDS } from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { unpackHostile } from '../testing/hostile.ts'

test('H07 H08 H10 random hostile images for minutes: trees and typed errors only, nothing outside is touched', async () => {
  const outcomes = await unpackHostile({ numRuns: 10_000_000, interruptAfterTimeLimit: FUZZ_SECONDS * 1000 })
  console.log(Object.fromEntries(outcomes))
  expect(outcomes.get('unpacked')).toBeGreaterThan(100)
})
