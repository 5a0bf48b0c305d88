import { readFileSync } from 'node:fs'
import {
  type Supposition,
  distrustRuleSchema,
  ownerKeySchema,
  parseAgreement,
  parseSchema,
  parseStrictJson,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Command } from 'commander'
import { z } from 'zod'
import { withOwner } from '../../files.ts'
import { EXIT, type Output, UsageError } from '../../output.ts'
import { judgeInto } from '../../policy/what-if-job.ts'
import { whatIfOfFiles } from '../../policy/what-if-pool.ts'
import { WhatIfReport } from '../../policy/what-if-report.ts'
import { type Done, outputOf, ownerVerb } from '../options.ts'

interface WhatIfOptions {
  readonly as?: string
  readonly json?: boolean
  readonly agreement?: string
  readonly distrust?: string
  readonly records?: readonly string[]
  readonly key?: string
}

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
      const supposition = readSupposition(options)
      const output = outputOf(options)
      const key = options.key === undefined ? null : parseSchema(ownerKeySchema, options.key, '--key')
      const report =
        options.records === undefined
          ? await atBroker(options.as, supposition, output)
          : await whatIfOfFiles({ files: options.records, key, supposition })
      if (report.judged + report.refused === 0)
        throw new UsageError(
          'there is no recorded attestation',
          'name records with --records, or an owner file with --as',
        )
      const rows = report.rows()
      output.answer(report.totals(), report.text())
      done(rows.some((r) => r.change === 'loses') ? EXIT.no : EXIT.yes)
    })
}

/** All attestations of the owner's own broker. */
async function atBroker(as: string | undefined, supposition: Supposition, output: Output): Promise<WhatIfReport> {
  const report = new WhatIfReport()
  const add = judgeInto(report, supposition)
  await withOwner(as, async (client, { broker }) => {
    const { decisions } = await client.listDecisions()
    output.talk(`${decisions.length} decisions at ${broker.tenant}`)
    for (const { id } of decisions) await add((await client.decision(id)).record, broker.decisions)
  })
  return report
}

function readSupposition({ agreement, distrust }: WhatIfOptions): Supposition {
  if (agreement === undefined && distrust === undefined)
    throw new UsageError('nothing is supposed', 'name what would change: --agreement FILE, --distrust FILE')
  const rules = z.array(distrustRuleSchema).max(1024)
  return {
    ...(agreement === undefined ? {} : { agreement: candidate(agreement) }),
    ...(distrust === undefined
      ? {}
      : { distrust: parseSchema(rules, parseStrictJson(readFileSync(distrust), { maxBytes: 1 << 20 }), distrust) }),
  }
}

function candidate(file: string): NonNullable<Supposition['agreement']> {
  const { workload, launch, environment, grants } = parseAgreement(new Uint8Array(readFileSync(file)), nodeCrypto).body
  return { workload, launch, environment, grants }
}
