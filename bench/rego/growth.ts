import { readFileSync } from 'node:fs'
import { compile, fromJson, parseInput, toJson } from '@vouchsafe/rego'
import { benchCases } from './cases.ts'

type Growth = { readonly events: number; readonly ms: number; readonly steps: number }
type Event = { readonly seq: number; readonly type: string }

/** `interrupt` is asked about once in so many steps. */
const STEPS_PER_QUESTION = 10_000
const ROUNDS = 10

/**
 * Cost by the length of the event log. A longer log has more events of each kind between the same separators: one of each PCR, as in
 * any log; the decision stays the same. The sizes take turns; times are the best.
 */
export function growth(): Growth[] {
  const log = benchCases().find((c) => c.name === 'good-260')
  if (log === undefined) return []
  const text = readFileSync(log.files.policy, 'utf8')
  const data = fromJson(readFileSync(log.files.data, 'utf8'))
  const input = JSON.parse(readFileSync(log.files.input, 'utf8')) as { events: Event[] }
  const query = compile({ 'policy.rego': text }, { data }).prepare(log.query)
  const sizes = [1, 10, 100].map((times) => {
    const events = input.events
      .flatMap((e) => Array.from({ length: e.type === 'EV_SEPARATOR' ? 1 : times }, () => e))
      .map((e, seq) => ({ ...e, seq }))
    const document = parseInput(JSON.stringify({ ...input, events }))
    let questions = 0
    const ask = (): string => {
      questions = 0
      const interrupt = (): boolean => ++questions < 0
      return toJson(query.eval(document, { maxSteps: Number.MAX_SAFE_INTEGER, interrupt }).value ?? null)
    }
    if (!ask().includes('"allow":true')) throw new Error(`a log of ${events.length} events is not allowed`)
    return { events: events.length, steps: questions * STEPS_PER_QUESTION, times, ask }
  })
  const best = sizes.map(() => Number.POSITIVE_INFINITY)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { times, ask }] of sizes.entries()) {
      // as many events for each size; time of the processor, since the longest evaluation never has the machine to itself
      const started = process.cpuUsage()
      for (let n = 0; n < 100 / times; n++) ask()
      const { user, system } = process.cpuUsage(started)
      best[i] = Math.min(best[i] ?? Number.NaN, ((user + system) * times) / 100_000)
    }
  }
  return sizes.map(({ events, steps }, i) => ({ events, steps, ms: best[i] ?? Number.NaN }))
}
