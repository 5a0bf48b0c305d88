import { readFileSync, writeFileSync } from 'node:fs'
import {
  type Envelope,
  type Replay,
  envelopeSchema,
  ownerKeySchema,
  parseReceipt,
  parseSchema,
  parseStrictJson,
  replayRecord,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { Command } from 'commander'
import pc from 'picocolors'
import { withOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb } from './options.ts'
import { table } from '../table.ts'

const MAX_RECORD_FILE = 16 * 1024 * 1024

/** `vouchsafe why`: a recorded decision, computed again from its raw evidence, and explained. */
export function whyCommand(done: Done): Command {
  return ownerVerb('why', 'explain a decision by computing it again from its recorded evidence')
    .argument('[decision]', 'id of a decision at your broker; none: the newest ones are listed')
    .option('--record <file>', 'an exported record: works offline')
    .option('--key <key>', 'with --record: the broker’s decision key, ed25519:…, from the agreement')
    .option('--save <file>', 'also keep the record')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe why\n  $ vouchsafe why d-3kV…\n  $ vouchsafe why d-3kV… --save d.json && vouchsafe why --record d.json --key ed25519:…',
    )
    .action(
      async (
        id: string | undefined,
        options: { as?: string; json?: boolean; record?: string; key?: string; save?: string },
      ) => {
        if (id !== undefined && options.record !== undefined)
          throw new UsageError(
            'name either a decision or a record',
            'vouchsafe why d-…  or  vouchsafe why --record FILE',
          )
        if (id === undefined && options.record === undefined) {
          await listDecisions(options)
          return done(EXIT.yes)
        }
        const { envelope, key } =
          options.record === undefined
            ? await fetchRecord(id ?? '', options.as)
            : readRecordFile(options.record, options.key)
        if (options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(envelope)}\n`, { mode: 0o600 })
        const replay = await replayRecord(envelope, key, nodeCrypto)
        const { record, verdict, signed, reproduced, digest } = replay
        outputOf(options).answer(
          { id: record.id, operation: record.operation, digest, signed, reproduced, verdict, recorded: record.verdict },
          explain(replay),
        )
        done(reproduced && signed !== false ? EXIT.yes : EXIT.no)
      },
    )
}

/** Nothing named: which decisions there are to ask about. */
async function listDecisions(options: As): Promise<void> {
  const { decisions } = await withOwner(options.as, (client) => client.listDecisions())
  const rows = decisions.map((d) => [d.id, d.at, d.outcome, d.code])
  outputOf(options).answer({ decisions }, rows.length === 0 ? 'no decisions yet' : table(rows))
}

async function fetchRecord(id: string, as: string | undefined): Promise<{ envelope: Envelope; key: string }> {
  return withOwner(as, async (client, { broker }) => {
    const { record, receipt } = await client.decision(id)
    parseReceipt(receipt)
    return { envelope: record, key: broker.decisions }
  })
}

function readRecordFile(file: string, key: string | undefined): { envelope: Envelope; key: string | null } {
  const envelope = parseSchema(envelopeSchema, parseStrictJson(readFileSync(file), { maxBytes: MAX_RECORD_FILE }), file)
  return { envelope, key: key === undefined ? null : parseSchema(ownerKeySchema, key, '--key') }
}

/** Worst first, and it ends with what to do next. */
export function explain({ record, verdict, signed, reproduced }: Replay): string {
  const colour = verdict.kind === 'deny' ? pc.red : verdict.kind === 'wait' ? pc.yellow : pc.green
  const lines = [
    `${colour(verdict.kind.toUpperCase())}  ${record.operation} ${record.id}, decided ${record.inputs.at}${record.profile === 'simulated' ? pc.magenta('  SIMULATED') : ''}`,
  ]
  for (const r of verdict.reasons)
    lines.push(
      `  ${pc.bold(r.code)} (${r.stage})`,
      `    expected  ${r.expected}`,
      `    actual    ${r.actual}`,
      `    ${pc.dim('do')}        ${r.advice}`,
    )
  // what an owner let pass stands beside what was content, so that nobody overlooks it
  for (const f of verdict.findings.filter(({ tier }) => tier === 'warning'))
    lines.push(`  ${pc.yellow('let pass')} ${f.check}: wanted ${f.expected}, ${f.actual}`)
  const content = verdict.findings.filter((f) => f.tier === 'affirming').length
  if (verdict.findings.length > 0)
    lines.push(`  ${content} of ${verdict.findings.length} appraisal checks were content`)
  const rules = verdict.conditions ?? []
  if (rules.length > 0)
    lines.push(
      `  ${rules.filter((r) => r.held).length} of ${rules.length} rules of the conditions held; each: policy explain`,
    )
  for (const { name, kind } of (verdict.shadows ?? []).filter((s) => s.differs))
    lines.push(pc.yellow(`  on trial, without effect: ${name} would ${kind}`))
  lines.push(
    `  computed again from raw evidence: ${reproduced ? 'the same verdict' : pc.red('ANOTHER VERDICT than was recorded; the record was changed, or another version decided')}`,
  )
  lines.push(
    `  signature of the broker: ${signed === null ? 'not checked (give --key)' : signed ? 'good' : pc.red('BAD: this is not what the broker recorded')}`,
  )
  return lines.join('\n')
}
