import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Peer } from './contestant.ts'
import { lineProtocol } from './line-protocol.ts'

/** OPA's evaluator as a Go library, in a process of its own that runs when it is told to. Needs a Go toolchain. */
export function goPeer(): Peer {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vouchsafe-bench-'))
  const binary = path.join(folder, 'opa-eval')
  const cwd = path.resolve(import.meta.dirname, '../peers/opa-eval')
  execFileSync('go', ['build', '-o', binary, '.'], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0' },
  })
  const child = spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'] })
  return lineProtocol('OPA Go', child, () => rmSync(folder, { recursive: true, force: true }))
}
