import { Command } from 'commander'
import type { Done } from '../options.ts'
import { checkVerb } from './check.ts'
import { evalVerb } from './eval.ts'
import { explainVerb } from './explain.ts'
import { fmtVerb } from './fmt.ts'
import { testVerb } from './test.ts'
import { trialsVerb } from './trials.ts'
import { whatIfVerb } from './what-if.ts'

/** `vouchsafe policy …`: conditions before they are signed, and what they decided. */
export function policyCommand(done: Done): Command {
  const policy = new Command('policy').description('write, check and try out the conditions of agreements')
  for (const verb of [checkVerb, testVerb, evalVerb, explainVerb, trialsVerb, whatIfVerb, fmtVerb])
    policy.addCommand(verb(done))
  return policy
}
