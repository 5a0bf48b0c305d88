import type { Tpm } from '@vouchsafe/tpm'
import { nvAttributes, TpmError } from '@vouchsafe/tpm/codec'
import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, withHint } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle, readPassword } from './arguments.ts'
import { nvAccess, nvVerb, type NvVerbOptions, parseNvIndex } from './nv-access.ts'
import { withTpm } from './tpm-verb.ts'

interface WriteOptions extends NvVerbOptions {
  readonly define?: boolean
}

/** `vouchsafe tpm nv write`. */
export function nvWriteCommand(done: Done): Command {
  return nvVerb('write', 'write a file into an index')
    .argument('<file>', 'the bytes; - for standard input')
    .option(
      '--define',
      'define the index first, as large as the file: readable and writable by its password and the owner',
    )
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm nv write 0x01500001 policy.bin --define')
    .action(async (text: string, file: string, options: WriteOptions) => {
      const index = parseNvIndex(text)
      const data = readInput(file)
      await withTpm(options, async (tpm) => {
        if (options.define === true) await define(tpm, index, data.length, options)
        await tpm.nvWrite(index, data, nvAccess(options))
      })
      const answer = { index: formatHandle(index), bytes: data.length, defined: options.define === true }
      outputOf(options).answer(answer, `${answer.index}: ${data.length} bytes written`)
      done(EXIT.yes)
    })
}

async function define(tpm: Tpm, nvIndex: number, dataSize: number, { authFile }: WriteOptions): Promise<void> {
  const attributes = nvAttributes(['authRead', 'authWrite', 'ownerRead', 'ownerWrite', 'noDA'])
  const area = { nvIndex, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array(), dataSize } as const
  await tpm.nvDefine({ public: area, ...readPassword(authFile) }).catch((error: unknown) => {
    const isSize = error instanceof TpmError && error.response?.name === 'TPM_RC_SIZE'
    throw isSize ? withHint(error, `${dataSize} bytes are more than one index holds; most TPMs take 2048`) : error
  })
}
