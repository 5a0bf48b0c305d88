import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { WhatIfPool } from '../../policy/what-if-pool.ts'
import { type Done, outputOf, ownerVerb } from '../options.ts'
import type { WhatIfOptions } from './what-if-run.ts'

/** `vouchsafe policy what-if`: who would gain and who would lose access, by evidence that was recorded. */
export function whatIfVerb(done: Done): Command {
  return ownerVerb('what-if', 'who would gain or lose access under another policy, by recorded evidence')
    .option('--agreement <file>', 'a candidate: its grants, reference values, launch and image take effect')
    .option('--distrust <file>', 'distrust rules as a JSON list, in place of the recorded ones')
    .option('--records <files...>', 'decision records: files, folders, or JSON lines (default: all at your broker)')
    .option(
      '--key <key>',
      'with --records: the broker’s decision key, ed25519:…; records that it did not sign are refused',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe policy what-if --agreement overlap-v2.json\n  $ vouchsafe policy what-if --agreement overlap-v2.json --records records.jsonl --key ed25519:…\n\nExit status 0: nobody loses access. 1: somebody does.',
    )
    .action(async (options: WhatIfOptions) => {
      await using pool = new WhatIfPool(options.records ?? []) // before the modules that take a second to read
      const { reportOf } = await import('./what-if-run.ts')
      const output = outputOf(options)
      const report = await reportOf(options, pool, output)
      output.answer(report.totals(), report.text())
      done(report.rows().some((r) => r.change === 'loses') ? EXIT.no : EXIT.yes)
    })
}
