import { readFileSync } from 'node:fs'
import { compile, fromJson, parseInput } from '@vouchsafe/rego'
import { benchCases } from './cases.ts'

/** Cost by the length of the event log. */
export function growth(): { readonly events: number; readonly ms: number }[] {
  const log = benchCases().find((c) => c.name === 'good-260')
  if (log === undefined) return []
  const text = readFileSync(log.files.policy, 'utf8')
  const data = fromJson(readFileSync(log.files.data, 'utf8'))
  const input = JSON.parse(readFileSync(log.files.input, 'utf8')) as { events: { seq: number }[] }
  const query = compile({ 'policy.rego': text }, { data }).prepare(log.query)
  return [1, 10, 100].map((times) => {
    const events = Array.from({ length: times }, () => input.events)
      .flat()
      .map((e, seq) => ({ ...e, seq }))
    const document = parseInput(JSON.stringify({ ...input, events }))
    const rounds = Array.from({ length: 5 }, () => {
      const started = performance.now()
      query.eval(document, { maxSteps: Number.MAX_SAFE_INTEGER })
      return performance.now() - started
    })
    return { events: events.length, ms: Math.min(...rounds) }
  })
}
