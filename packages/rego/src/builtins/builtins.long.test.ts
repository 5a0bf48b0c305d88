import { test } from 'vitest'
import { CALLABLE, callWithAnything } from './testing/anything.ts'

test.each(CALLABLE.map((b) => [b.name, b] as const))(
  'K04 %s survives thousands of calls with any operands',
  { timeout: 300_000 },
  (_name, b) => callWithAnything(b, { numRuns: 3000 }),
)
