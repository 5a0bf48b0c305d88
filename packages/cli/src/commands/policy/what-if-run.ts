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
import { z } from 'zod'
import { type Output, UsageError } from '../../output.ts'
import { judgeInto } from '../../policy/what-if-job.ts'
import type { WhatIfPool } from '../../policy/what-if-pool.ts'
import { WhatIfReport } from '../../policy/what-if-report.ts'

export interface WhatIfOptions {
  readonly as?: string
  readonly json?: boolean
  readonly agreement?: string
  readonly distrust?: string
  readonly records?: readonly string[]
  readonly key?: string
}

/** What the options suppose, judged by the records that they name, or else by those of the owner's broker. */
export async function reportOf(options: WhatIfOptions, pool: WhatIfPool, output: Output): Promise<WhatIfReport> {
  const supposition = readSupposition(options)
  const key = options.key === undefined ? null : parseSchema(ownerKeySchema, options.key, '--key')
  const report =
    options.records === undefined
      ? await atBroker(options.as, supposition, output)
      : await pool.judge({ files: options.records, key, supposition })
  if (report.judged + report.refused === 0)
    throw new UsageError('there is no recorded attestation', 'name records with --records, or an owner file with --as')
  return report
}

/** All attestations of the owner's own broker. */
async function atBroker(as: string | undefined, supposition: Supposition, output: Output): Promise<WhatIfReport> {
  const report = new WhatIfReport()
  const add = judgeInto(report, supposition)
  const { withOwner } = await import('../../files.ts') // the client, which files of records do without
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
