import { Command } from 'commander'
import type { Done } from '../options.ts'

type Verb = (done: Done) => Command

/** In the order of the help page. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  check: async () => (await import('./check.ts')).checkVerb,
  test: async () => (await import('./test.ts')).testVerb,
  eval: async () => (await import('./eval.ts')).evalVerb,
  explain: async () => (await import('./explain.ts')).explainVerb,
  trials: async () => (await import('./trials.ts')).trialsVerb,
  'what-if': async () => (await import('./what-if.ts')).whatIfVerb,
  fmt: async () => (await import('./fmt.ts')).fmtVerb,
}

/**
 * `vouchsafe policy …`: conditions before they are signed, and what they decided.
 *
 * @param asked - The verb of the command line: the only one whose modules are read. All are when it is none of ours.
 */
export async function policyCommand(asked?: string): Promise<Verb> {
  const load = asked === undefined ? undefined : VERBS[asked]
  const verbs = await Promise.all(load === undefined ? Object.values(VERBS).map((l) => l()) : [load()])
  return (done) => {
    const policy = new Command('policy').description('write, check and try out the conditions of agreements')
    for (const verb of verbs) policy.addCommand(verb(done))
    return policy
  }
}
