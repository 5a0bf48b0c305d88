import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bundled } from './commands/testing/bundled.ts'
import { repository } from './commands/testing/command-line.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'vs-guide-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** The commands of a page, in order, as one script: what a reader would type. */
function commandsOf(page: string): string {
  const text = readFileSync(path.join(repository, page), 'utf8')
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((m) => m[1]).join('\n')
}

/** Runs a page with bash as a reader would, stopping at the first command that fails. */
function follow(page: string, more = '') {
  const prelude = [
    'set -eumo pipefail',
    // whatever happens, nothing that the page started stays
    "trap 'for job in $(jobs -p); do kill -- -$job 2>/dev/null || true; done; wait' EXIT",
  ]
  const bin = path.join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(path.join(bin, 'npx'), `#!/bin/sh\nshift\nexec '${process.execPath}' '${bundled}' "$@"\n`, {
    mode: 0o755,
  })
  const script = path.join(directory, 'page.sh')
  writeFileSync(script, [...prelude, commandsOf(page), more].join('\n'))
  return spawnSync('bash', [script], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 280_000,
    env: {
      ...process.env,
      PATH: `${bin}:${process.env['PATH']}`,
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: path.join(directory, 'code'),
    },
  })
}

test('I11 CS-53 the guide says which lines are evidence, and that a broker’s log is not', () => {
  const page = readFileSync(path.join(repository, 'docs/guide/ledger.md'), 'utf8')
  expect(page).toMatch(/log lines[^.]*prove nothing/)
  expect(page).toContain('vouchsafe ledger check')
})

describe('a reader who follows the guide', () => {
  test('page policy: checks, tests and formats the policy that it writes', { timeout: 120_000 }, () => {
    const { stdout, stderr, status } = follow('docs/guide/policy.md')
    expect(status, `${stdout}\n${stderr}`).toBe(0)
    expect(stdout).toContain('nothing to say against it')
    expect(stdout).toContain('2 passed, 0 failed, 0 skipped')
    expect(stdout).toContain('all formatted')
  })

  test('page by-hand: gets every answer that it promises', { timeout: 300_000 }, () => {
    const { stdout, stderr, status } = follow('docs/guide/by-hand.md')
    expect(status, `${stdout}\n${stderr}`).toBe(0)
    expect(stdout).toContain('patients/key')
    expect(stdout).toMatch(/tpm:[A-Za-z0-9_-]{43} +simulated +reset \d+, restart \d+/)
    expect(stdout).toContain('approved')
    expect(stdout).toContain('no running leases')
    expect(stdout).toMatch(/consistent; truncation not excluded/)
    expect(stdout).toContain('stolen would affect:')
  })
})
