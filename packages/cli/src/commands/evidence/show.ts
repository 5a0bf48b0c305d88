import type { Command } from 'commander'
import { readInput } from '../../files.ts'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { formatOf } from './formats.ts'

/** `vouchsafe evidence show`. */
export function showCommand(done: Done): Command {
  return verb('show', 'what a file of evidence says, and what it means; verifies nothing')
    .argument(
      '<file>',
      'a decision record, a gotpm attestation, a TPM quote, a hardware report or quote; - for standard input',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe why d-… --save d.json && vouchsafe evidence show d.json\n  $ gotpm attest --nonce … | vouchsafe evidence show -' +
        '\n  $ vouchsafe evidence show report.bin                                # SEV-SNP, TDX, SGX, Azure, Arm CCA, NVIDIA',
    )
    .action(async (name: string, options: { json?: boolean }) => {
      const file = { name, bytes: readInput(name) }
      const { json, text } = await formatOf(file).show(file)
      outputOf(options).answer(json, text)
      done(EXIT.yes)
    })
}
