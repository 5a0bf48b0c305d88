import { toHex } from '@vouchsafe/core'
import { TpmObject } from '@vouchsafe/tpm'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle, HANDLE_KIND, parseHandle } from './arguments.ts'
import { KEY_FORMS, withKey } from './key-argument.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

/** `vouchsafe tpm keys persist`. */
export function keysPersistCommand(done: Done): Command {
  return tpmVerb('persist', 'keep a key under a persistent handle, so that it is not made anew each time')
    .argument('<key>', KEY_FORMS)
    .argument('<handle>', 'for example 0x81000002')
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm keys persist srk-ecc 0x81000002')
    .action(async (name: string, text: string, options: TpmVerbOptions) => {
      const handle = parseHandle(text, 'a persistent handle', [HANDLE_KIND.persistent])
      const kept = await withTpm(options, (tpm) =>
        withKey(tpm, name, async (object) => {
          if (!(object instanceof TpmObject))
            throw new UsageError(`${name} is kept already`, 'name a template such as srk-ecc')
          return tpm.persist({ object, handle })
        }),
      )
      const answer = { handle: formatHandle(kept.handle), name: toHex(kept.name) }
      outputOf(options).answer(answer, `${answer.handle}: key ${answer.name}`)
      done(EXIT.yes)
    })
}
