import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import type { ShowOptions } from './format.ts'
import { formatOf } from './formats.ts'

/** `vouchsafe evidence show`. */
export function showCommand(done: Done): Command {
  return verb('show', 'what a file of evidence says, and what it means; verifies nothing')
    .argument(
      '<file>',
      'a decision record, a gotpm attestation, a TPM quote, a hardware report or quote; - for standard input',
    )
    .option('--pins <file>', 'an agreement, or what `reference pins` prints: tells which events they cover')
    .option('--event-log <file>', 'TDX: the CCEL log of the boot')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe why d-… --save d.json && vouchsafe evidence show d.json\n  $ gotpm attest --nonce … | vouchsafe evidence show -' +
        '\n  $ vouchsafe evidence show report.bin                                # SEV-SNP, TDX, SGX, Azure, Arm CCA, NVIDIA' +
        '\n  $ vouchsafe evidence show quote.dat --event-log ccel.bin --pins agreement.json',
    )
    .action(async (name: string, { json: asJson, ...options }: ShowOptions & { json?: boolean }) => {
      const file = { name, bytes: readInput(name) }
      const format = formatOf(file)
      if (options.pins !== undefined && !format.showOptions.includes('pins'))
        throw new UsageError(`--pins means nothing for a ${format.name}: it holds no event log`, 'leave it out')
      if (options.eventLog !== undefined && !format.showOptions.includes('eventLog'))
        throw new UsageError(`--event-log means nothing for a ${format.name}`, 'leave it out')
      const { json, text } = await format.show(file, options)
      outputOf({ json: asJson === true }).answer(json, text)
      done(EXIT.yes)
    })
}
