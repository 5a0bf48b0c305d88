import { toHex } from '@vouchsafe/core'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle } from './arguments.ts'
import { nvAccess, nvVerb, type NvVerbOptions, parseNvIndex } from './nv-access.ts'
import { withTpm } from './tpm-verb.ts'
import { writePrivateFile } from './write-output.ts'

/** `vouchsafe tpm nv read`: hexadecimal to the terminal, bytes to a file. */
export function nvReadCommand(done: Done): Command {
  return nvVerb('read', 'what an index holds')
    .option('--out <file>', 'write the bytes there; left out, hexadecimal is printed')
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm nv read 0x01c00002 --out ek.der')
    .action(async (text: string, options: NvVerbOptions & { out?: string }) => {
      const index = parseNvIndex(text)
      const data = await withTpm(options, (tpm) => tpm.nvRead(index, nvAccess(options)))
      const answer = { index: formatHandle(index), bytes: data.length }
      if (options.out === undefined) outputOf(options).answer({ ...answer, data: toHex(data) }, toHex(data))
      else {
        writePrivateFile(options.out, data)
        outputOf(options).answer({ ...answer, file: options.out }, `${options.out}: ${data.length} bytes`)
      }
      done(EXIT.yes)
    })
}
