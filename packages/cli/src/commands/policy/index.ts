import { nounOf } from '../verbs.ts'

/** `vouchsafe policy …`: conditions before they are signed, and what they decided. */
export const policyCommand = nounOf('policy', 'write, check and try out the conditions of agreements', {
  check: async () => (await import('./check.ts')).checkVerb,
  test: async () => (await import('./test.ts')).testVerb,
  eval: async () => (await import('./eval.ts')).evalVerb,
  explain: async () => (await import('./explain.ts')).explainVerb,
  trials: async () => (await import('./trials.ts')).trialsVerb,
  'what-if': async () => (await import('./what-if.ts')).whatIfVerb,
  fmt: async () => (await import('./fmt.ts')).fmtVerb,
})
