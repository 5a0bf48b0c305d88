import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { loadPolicy } from '@open-policy-agent/opa-wasm'
import { BUILTINS, fromJson, toJson, type Value } from '@vouchsafe/rego'
import { canonical, slice, type Peer } from './contestant.ts'

const OPA = 'github.com/open-policy-agent/opa@v1.20.2'
/** Functions that the policies call and the runner does not have: it gets ours, so that it can take part. */
const LENT = ['semver.compare', 'semver.is_valid', 'time.parse_rfc3339_ns', 'object.subset', 'strings.replace_n']

/** OPA's own way into JavaScript: policies compiled to WebAssembly by `opa build`, run by its npm package. Needs Go. */
export function wasmPeer(): Peer {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vouchsafe-bench-'))
  execFileSync('go', ['install', OPA], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' },
  })
  return {
    contestant: async (c) => {
      const entry = c.query.replace(/^data\./, '').replaceAll('.', '/')
      const bundle = path.join(folder, 'bundle.tar.gz')
      execFileSync(path.join(folder, 'opa'), ['build', '-t', 'wasm', '-e', entry, '-o', bundle, c.files.policy])
      execFileSync('tar', ['-xzf', bundle, '-C', folder, '/policy.wasm'], { stdio: 'ignore' })
      const module = readFileSync(path.join(folder, 'policy.wasm'))
      const started = performance.now()
      const policy = await loadPolicy(module, { initial: 100, maximum: 2000 }, lentBuiltins())
      policy.setData(JSON.parse(readFileSync(c.files.data, 'utf8')) as object)
      const input = JSON.parse(readFileSync(c.files.input, 'utf8')) as object
      const evaluate = (): unknown => policy.evaluate(input, entry)
      const [first] = evaluate() as { result: unknown }[]
      const prepareMs = performance.now() - started
      return {
        engine: 'opa-wasm',
        prepareMs,
        heapMiB: (policy as unknown as { mem: WebAssembly.Memory }).mem.buffer.byteLength / 2 ** 20,
        answer: canonical(first?.result),
        run: async (ms) => slice(ms, evaluate),
      }
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function lentBuiltins(): Record<string, (...args: unknown[]) => unknown> {
  const context = { spend: () => undefined, reserve: () => undefined, memo: new Map() }
  const entries = LENT.map((name) => {
    const builtin = BUILTINS.get(name)
    const call = (...args: unknown[]): unknown => {
      const operands = args.map((a): Value => fromJson(JSON.stringify(a)))
      const value = builtin?.call(context as never, ...operands)
      return value === undefined ? undefined : JSON.parse(toJson(value))
    }
    return [name, call] as const
  })
  return Object.fromEntries(entries)
}
