import { missingVectors } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import floor from '../conformance/floor.json' with { type: 'json' }
import { casesOf, runSuite, SUITES } from '../conformance/suites.ts'

/** Numbers of cases that passed when this was committed: more is welcome, then raise them; fewer is a loss. */
describe.skipIf(missingVectors()).each(['generated', 'closures'] as const)('conformance with %s code', (backend) => {
  test.each(SUITES)('suite %s passes as many cases as before', { timeout: 120_000 }, async (suite) => {
    const { passed, failed, skipped } = await runSuite(suite, backend)
    const lost = failed.map((f) => `${f.case.id}: ${f.why}`).join('\n')
    expect(passed.length, lost).toBeGreaterThanOrEqual(floor[suite].passed)
    expect(skipped.length).toBeLessThanOrEqual(floor[suite].skipped)
    expect(passed.length + failed.length + skipped.length).toBe(casesOf(suite).length)
  })
})
