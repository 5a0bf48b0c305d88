import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { follow, Page } from './commands/testing/page.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'vs-guide-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('I11 CS-53 the guide says which lines are evidence, and that a broker’s log is not', () => {
  const { text } = new Page('docs/guide/ledger.md')
  expect(text).toMatch(/log lines[^.]*prove nothing/)
  expect(text).toContain('vouchsafe ledger check')
})

describe('a reader who follows the guide', () => {
  test('page policy: checks, tests and formats the policy that it writes', { timeout: 120_000 }, async () => {
    const { stdout, stderr, status } = await follow(directory, new Page('docs/guide/policy.md').commands)
    expect(status, `${stdout}\n${stderr}`).toBe(0)
    expect(stdout).toContain('nothing to say against it')
    expect(stdout).toContain('2 passed, 0 failed, 0 skipped')
    expect(stdout).toContain('all formatted')
  })

  test('page by-hand: gets every answer that it promises', { timeout: 300_000 }, async () => {
    const { stdout, stderr, status } = await follow(directory, new Page('docs/guide/by-hand.md').commands)
    expect(status, `${stdout}\n${stderr}`).toBe(0)
    expect(stdout).toContain('patients/key')
    expect(stdout).toMatch(/tpm:[A-Za-z0-9_-]{43} +simulated +reset \d+, restart \d+/)
    expect(stdout).toContain('approved')
    expect(stdout).toContain('no running leases')
    expect(stdout).toMatch(/consistent; truncation not excluded/)
    expect(stdout).toContain('stolen would affect:')
  })
})
