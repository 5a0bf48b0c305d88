import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { compile, fromJson, parseInput, type BackendChoice } from './index.ts'

const BOTH: readonly BackendChoice[] = ['generated', 'closures']
/** `interrupt` is asked once in so many steps. */
const STEPS_PER_QUESTION = 10_000

describe.skipIf(missingVectors()).each(BOTH)('F07 the event log policy, with %s code', (backend) => {
  test('takes steps in proportion to the events', () => {
    const at = (file: string): string => readVectorText(`rego-bench/04-event-log/${file}`)
    const policy = compile({ 'policy.rego': at('policy.rego') }, { backend, data: fromJson(at('data.json')) })
    const log = JSON.parse(at('inputs/good-260.json')) as { events: { seq: number; type: string }[] }
    /** Steps for a log with so many times the events between its separators, of which any log has one for each register. */
    const steps = (times: number): number => {
      const events = log.events
        .flatMap((e) => Array.from({ length: e.type === 'EV_SEPARATOR' ? 1 : times }, () => e))
        .map((e, seq) => ({ ...e, seq }))
      let questions = 0
      const interrupt = (): boolean => ++questions < 0
      const { value } = policy.eval('data.bench.eventlog.allow', parseInput(JSON.stringify({ ...log, events })), {
        interrupt,
      })
      expect(value).toBe(true)
      return questions * STEPS_PER_QUESTION
    }
    const growth = steps(100) / steps(10)
    expect(growth).toBeGreaterThan(8)
    expect(growth).toBeLessThan(11)
  })
})
