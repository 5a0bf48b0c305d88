import { checkGrant, checkGrants } from '@vouchsafe/core'
import type { Command } from 'commander'
import { readPolicies } from '../../policy/policy-files.ts'
import { policyFindingsText } from '../../policy/finding-text.ts'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'

/** `vouchsafe policy check`: what can be said against a policy without any claims. */
export function checkVerb(done: Done): Command {
  return verb('check', 'find what is wrong with a policy before anybody signs it')
    .argument('<files...>', 'agreements (.json), Rego modules (.rego), CEL expressions (.cel), or folders')
    .option('--allow <rule>', 'the Rego rule that decides (default: the one called allow)')
    .option('--data <file>', 'base data for Rego')
    .option('--strict', 'warnings refuse too')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe policy check overlap.json\n  $ vouchsafe policy check release.rego --allow data.release.allow --data lists.json',
    )
    .action((files: string[], options: { json?: boolean; allow?: string; data?: string; strict?: boolean }) => {
      const { agreements, own } = readPolicies(files, options)
      const findings = [
        ...agreements.flatMap(checkGrants),
        ...own.flatMap((g) => checkGrant(g).map((f) => ({ grant: g.id, ...f }))),
      ]
      const count = own.length + agreements.reduce((n, { grants }) => n + grants.length, 0)
      const refused = findings.some((f) => f.severity === 'refuse' || options.strict === true)
      const conclusion = refused
        ? 'refused'
        : findings.length === 0
          ? 'nothing to say against it'
          : 'may come into force'
      outputOf(options).answer(
        { refused, findings },
        [...(findings.length === 0 ? [] : [policyFindingsText(findings)]), `${count} grants: ${conclusion}`].join('\n'),
      )
      done(refused ? EXIT.no : EXIT.yes)
    })
}
