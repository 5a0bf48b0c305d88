import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle } from './arguments.ts'
import { parseNvIndex } from './nv-access.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

/** `vouchsafe tpm nv remove`. */
export function nvRemoveCommand(done: Done): Command {
  return tpmVerb('remove', 'undefine an index of the owner; what it held is gone')
    .argument('<index>', 'for example 0x01500001')
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm nv remove 0x01500001')
    .action(async (text: string, options: TpmVerbOptions) => {
      const index = parseNvIndex(text)
      await withTpm(options, (tpm) => tpm.nvUndefine({ index }))
      outputOf(options).answer({ removed: formatHandle(index) }, `${formatHandle(index)} removed`)
      done(EXIT.yes)
    })
}
