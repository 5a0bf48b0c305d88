import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'

interface Ran {
  readonly passed: number
  readonly failed: number
  readonly steps: readonly {
    readonly title: string
    readonly checks: readonly { readonly name: string; readonly ok: boolean }[]
    readonly answers: readonly { readonly rules?: readonly { readonly rule: string; readonly holds: boolean }[] }[]
  }[]
}

describe('the example, as its one command runs it', () => {
  let ran: Ran
  let text = ''
  let lastLine: string | undefined

  beforeAll(async () => {
    const run = fileURLToPath(new URL('run.ts', import.meta.url))
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [run, '--json'], (_error, out, err) => resolve({ stdout: out, stderr: err }))
    })
    text = stdout + stderr
    lastLine = stderr.trim().split('\n').at(-1)
    ran = JSON.parse(stdout) as Ran
  }, 180_000)

  const falseRules = (step: number) =>
    ran.steps[step]?.answers
      .flatMap((a) => a.rules ?? [])
      .filter((r) => !r.holds)
      .map((r) => r.rule)

  test('HD-12 ends well, with processes of their own on both sides', () => {
    expect(ran.steps.flatMap((step) => step.checks).filter((check) => !check.ok)).toEqual([])
    expect(ran).toMatchObject({ failed: 0 })
    expect(ran.passed).toBeGreaterThan(10)
    expect(lastLine).toBe(`${ran.passed} passed, 0 failed`)
    expect(falseRules(1)).toEqual([])
  })

  test('HD-13 the unapproved workload fails exactly image_digest and audience', () => {
    expect(falseRules(2)).toEqual(['image_digest_verified', 'audience_verified'])
  })

  test('A13 behind a load balancer exactly the nonce fails', () => {
    expect(falseRules(3)).toEqual(['nonce_verified'])
  })

  test('DEF-32 HD-15 nothing that any process printed holds the night, a token or a key', () => {
    expect(text).not.toMatch(/Amy|\b270\b|\b135\b|\b105\b|eyJ|PRIVATE KEY/)
  })
})
