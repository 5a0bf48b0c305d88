import type { NvAccess } from '@vouchsafe/tpm'
import { type Command, Option } from 'commander'
import { HANDLE_KIND, parseHandle, readPassword } from './arguments.ts'
import { tpmVerb, type TpmVerbOptions } from './tpm-verb.ts'

export interface NvVerbOptions extends TpmVerbOptions {
  readonly authFile?: string
  readonly authority?: 'owner' | 'platform'
}

/** A verb about one index. */
export function nvVerb(name: string, description: string): Command {
  return tpmVerb(name, description)
    .argument('<index>', 'for example 0x01500001')
    .option('--auth-file <file>', 'password of the index')
    .addOption(
      new Option('--authority <who>', 'who authorizes (default: the index itself, else owner, else platform)').choices([
        'owner',
        'platform',
      ]),
    )
}

export function parseNvIndex(text: string): number {
  return parseHandle(text, 'an NV index', [HANDLE_KIND.nv])
}

export function nvAccess({ authFile, authority }: NvVerbOptions): NvAccess {
  return { ...readPassword(authFile), ...(authority !== undefined && { authority }) }
}
