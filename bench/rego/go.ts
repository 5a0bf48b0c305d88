import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Case } from './cases.ts'
import { canonical, type Contestant, type Slice } from './contestant.ts'

type Answer = Partial<Slice> & { id: number; value?: unknown; prepareMs?: number; heapMiB?: number }

export type GoPeer = { readonly contestant: (c: Case) => Promise<Contestant>; readonly close: () => void }

/** OPA's evaluator as a Go library, in a process of its own that runs when it is told to. Needs a Go toolchain. */
export function goPeer(): GoPeer {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vouchsafe-bench-'))
  const binary = path.join(folder, 'opa-eval')
  const cwd = path.resolve(import.meta.dirname, '../peers/opa-eval')
  execFileSync('go', ['build', '-o', binary, '.'], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0' },
  })
  const child = spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (request: unknown): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    const { value } = await lines.next()
    return JSON.parse(value as string) as Answer
  }
  return {
    contestant: async (c) => {
      const { id, value, prepareMs = Number.NaN, heapMiB } = await ask({ query: c.query, ...c.files })
      return {
        engine: 'OPA Go',
        prepareMs,
        heapMiB,
        answer: canonical(value),
        run: async (ms) => {
          const { median = Number.NaN, p99 = Number.NaN } = await ask({ id, ms })
          return { median, p99 }
        },
      }
    },
    close: () => {
      child.stdin.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
