import { expect, test } from 'vitest'
import { runExample } from '../run-example.fixture.ts'

test('two clinics get one answer, and another program gets nothing', { timeout: 300_000 }, async () => {
  const { ran, status, lastLine } = await runExample('two-clinics')
  expect(ran.steps.flatMap((step) => step.checks).filter((check) => !check.ok)).toEqual([])
  expect(ran.passed).toBeGreaterThan(10)
  expect(lastLine).toBe(`${ran.passed} passed, 0 failed`)
  expect(status).toBe(0)
})
