import { test } from 'vitest'
import { fuzzEvaluator, fuzzParser } from './fuzz.properties.ts'

const MINUTES = 5

test(
  'the parser ends in a module or in its own error, for minutes',
  () => {
    fuzzParser({
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: MINUTES * 60_000,
      markInterruptAsFailure: false,
    })
  },
  (MINUTES + 2) * 60_000,
)

test(
  'both back ends give the same, for minutes',
  () => {
    fuzzEvaluator({
      numRuns: 4_000 * MINUTES,
      interruptAfterTimeLimit: MINUTES * 60_000,
      markInterruptAsFailure: false,
    })
  },
  (MINUTES + 2) * 60_000,
)
