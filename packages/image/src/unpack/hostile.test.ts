import { expect, test } from 'vitest'
import { unpackHostile } from '../testing/hostile.ts'

test('H07 H08 H10 random hostile images end in a tree or our error, and touch nothing outside', async () => {
  const outcomes = await unpackHostile({ seed: 42, numRuns: 40 })
  // the images are hostile in many ways, and some are not at all
  expect(outcomes.get('unpacked')).toBeGreaterThan(10)
  for (const code of ['unpack.escape', 'unpack.duplicate', 'unpack.whiteout', 'unpack.link', 'tar.malformed'])
    expect(outcomes.get(code) ?? 0, code).toBeGreaterThan(0)
})
