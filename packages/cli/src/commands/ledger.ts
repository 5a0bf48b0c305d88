import { readFileSync, writeFileSync } from 'node:fs'
import { checkLedger, parseLogKey } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { Command } from 'commander'
import { readOwner, withOwner } from '../files.ts'
import { EXIT } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb } from './options.ts'

/** `vouchsafe ledger …`: the log of every decision. */
export function ledgerCommand(done: Done): Command {
  return new Command('ledger')
    .description('the tamper-evident log of every decision')
    .addCommand(
      ownerVerb('export', 'write the whole log as JSON lines')
        .requiredOption('--out <file>', 'file to write')
        .action(async (options: { as?: string; json?: boolean; out: string }) => {
          const lines = await withOwner(options.as, (client) => client.exportLedger())
          writeFileSync(options.out, lines)
          const entries = lines.split('\n').length - 1
          outputOf(options).answer({ file: options.out, entries }, `${options.out}: ${entries} entries`)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      ownerVerb('check', 'check an exported log offline; names the entry that was altered')
        .argument('<file>')
        .option('--key <key>', 'the log’s verifier key, name+hash+key, from an agreement (default: your owner file’s)')
        .option('--kept <file>', 'a checkpoint you kept: only with one can a cut-off end be seen')
        .addHelpText(
          'after',
          '\nExamples:\n  $ vouchsafe ledger check clinic-a.jsonl\n  $ vouchsafe ledger check clinic-b.jsonl --key vouchsafe/…',
        )
        .action(async (file: string, options: As & { key?: string; kept?: string }) => {
          const kept = options.kept === undefined ? {} : { kept: readFileSync(options.kept, 'utf8') }
          const lines = readFileSync(file, 'utf8')
            .split('\n')
            .filter((l) => l !== '')
          const check = await checkLedger(lines, {
            logKey: parseLogKey(options.key ?? readOwner(options.as).broker.log, nodeCrypto),
            ...kept,
            crypto: nodeCrypto,
          })
          outputOf(options).answer(check, check.statement)
          done(check.ok ? EXIT.yes : EXIT.no)
        }),
    )
}
