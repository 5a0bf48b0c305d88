import { test } from 'vitest'
import { fuzzEvaluator, fuzzParser, fuzzPolicies } from './fuzz.properties.ts'

/** Each of the three: five, unless the environment says otherwise. */
const MINUTES = Number(process.env['VOUCHSAFE_FUZZ_SECONDS'] ?? 300) / 60

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
      numRuns: Math.ceil(1_000 * MINUTES),
      interruptAfterTimeLimit: MINUTES * 60_000,
      markInterruptAsFailure: false,
    })
  },
  (MINUTES + 2) * 60_000,
)

test(
  'policies of the suites with pieces cut, doubled or swapped end in a value or in a typed error, for minutes',
  () => {
    fuzzPolicies({
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: MINUTES * 60_000,
      markInterruptAsFailure: false,
    })
  },
  (MINUTES + 2) * 60_000,
)
