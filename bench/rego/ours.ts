import { readFileSync } from 'node:fs'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compile, fromJson, parseInput, toJson, type BackendChoice } from '@vouchsafe/rego'
import type { Case } from './cases.ts'
import { canonical, slice, type Contestant } from './contestant.ts'

// only what is still needed counts
v8.setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  collect()
  return process.memoryUsage().heapUsed / 2 ** 20
}

/** Our engine. With `fromText`, each evaluation reads its input as JSON text. */
export function ours(c: Case, backend: BackendChoice, fromText = false): Contestant {
  const text = readFileSync(c.files.policy, 'utf8')
  const json = readFileSync(c.files.input, 'utf8')
  const data = fromJson(readFileSync(c.files.data, 'utf8'))
  const input = parseInput(json)
  const before = heap()
  const started = performance.now()
  const query = compile({ 'policy.rego': text }, { backend, data }).prepare(c.query)
  const { value } = query.eval(input)
  const prepareMs = performance.now() - started
  const heapMiB = heap() - before
  return {
    engine: `vouchsafe ${backend}${fromText ? ', JSON text' : ''}`,
    prepareMs,
    heapMiB,
    answer: canonical(value === undefined ? undefined : JSON.parse(toJson(value))),
    run: async (ms) => slice(ms, fromText ? () => query.eval(parseInput(json)) : () => query.eval(input)),
  }
}
