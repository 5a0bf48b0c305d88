import { toHex } from '@vouchsafe/core'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { table } from '../../table.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

/** `vouchsafe tpm pcrs`. Its JSON is what `--state` takes elsewhere. */
export function pcrsCommand(done: Done): Command {
  return tpmVerb('pcrs', 'registers of every bank')
    .option('--bank <hash>', 'only this bank')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe tpm pcrs --bank sha256\n  $ vouchsafe tpm pcrs --json > state.json',
    )
    .action(async (options: TpmVerbOptions & { bank?: string }) => {
      const banks = await withTpm(options, (tpm) => tpm.pcrReadAll())
      const wanted = banks.filter((b) => options.bank === undefined || b.bank === options.bank)
      if (wanted.length === 0)
        throw new UsageError(`no bank ${options.bank}`, `there are ${banks.map((b) => b.bank).join(', ')}`)
      const hex = wanted.map(({ bank, values }) => [bank, [...values].map(([n, v]) => [n, toHex(v)] as const)] as const)
      const answer = Object.fromEntries(hex.map(([bank, values]) => [bank, Object.fromEntries(values)]))
      const text = hex.map(([bank, values]) => {
        const rows = values.map(([n, value]) => [`  ${String(n).padStart(2)}`, value])
        return `${bank}\n${table(rows)}`
      })
      outputOf(options).answer(answer, text.join('\n'))
      done(EXIT.yes)
    })
}
