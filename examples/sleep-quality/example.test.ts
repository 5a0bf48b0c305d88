import { beforeAll, describe, expect, test } from 'vitest'
import { runExample } from '../run-example.fixture.ts'

describe('the example, as its one command runs it', () => {
  let end: Awaited<ReturnType<typeof runExample>>
  beforeAll(async () => {
    end = await runExample('sleep-quality')
  }, 240_000)

  const falseRules = (step: number) =>
    end.ran.steps[step]?.answers.flatMap((a) => a.rules ?? []).flatMap((r) => (r.holds ? [] : [r.rule]))

  test('HD-12 ends well, with processes of their own on both sides', () => {
    expect(end.ran.steps.flatMap((step) => step.checks).filter((check) => !check.ok)).toEqual([])
    expect(end.ran.passed).toBeGreaterThan(10)
    expect(end.lastLine).toBe(`${end.ran.passed} passed, 0 failed`)
    expect(end.status).toBe(0)
    expect(falseRules(1)).toEqual([])
  })

  test('HD-13 the unapproved workload fails exactly image_digest and audience', () => {
    expect(falseRules(2)).toEqual(['image_digest_verified', 'audience_verified'])
  })

  test('A13 behind a load balancer exactly the nonce fails', () => {
    expect(falseRules(3)).toEqual(['nonce_verified'])
  })

  test('HD-10 HD-11 UWear is a measured workload itself, and where USleep is it learns at launch by the one variable allowed', () => {
    const checks = end.ran.steps[5]?.checks.map((check) => [check.name, check.ok])
    expect(checks).toContainEqual(['the night was sent', true])
    expect(checks).toContainEqual(['an auditor sees which program that was, and what was told to it at launch', true])
    expect(checks).toContainEqual(['another variable is refused: appraisal.launch-environment', true])
  })

  test('HD-16 the log of a machine is there when the machine is gone', () => {
    const checks = end.ran.steps[5]?.checks.map((check) => [check.name, check.ok])
    expect(checks).toContainEqual(['its machine is gone', true])
    expect(checks).toContainEqual(['its log is not, and tells the verdict', true])
  })

  test('DEF-32 HD-15 nothing that any process printed holds the night, a token or a key', () => {
    expect(end.output).not.toMatch(/Amy|\b270\b|\b135\b|\b105\b|eyJ|PRIVATE KEY/)
  })
})
