import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle, HANDLE_KIND, parseHandle } from './arguments.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

/** `vouchsafe tpm keys evict`. */
export function keysEvictCommand(done: Done): Command {
  return tpmVerb('evict', 'remove a persistent key; one that was not made from a template is gone')
    .argument('<handle>', 'for example 0x81000002')
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm keys evict 0x81000002')
    .action(async (text: string, options: TpmVerbOptions) => {
      const handle = parseHandle(text, 'a persistent handle', [HANDLE_KIND.persistent])
      await withTpm(options, (tpm) => tpm.evict({ handle }))
      outputOf(options).answer({ evicted: formatHandle(handle) }, `${formatHandle(handle)} evicted`)
      done(EXIT.yes)
    })
}
