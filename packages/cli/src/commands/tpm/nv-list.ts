import type { NvIndex, Tpm } from '@vouchsafe/tpm'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { table } from '../../table.ts'
import { formatHandle } from './arguments.ts'
import { nvPurpose } from './nv-names.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

const NV_FIRST = 0x01000000

/** `vouchsafe tpm nv list`. */
export function nvListCommand(done: Done): Command {
  return tpmVerb('list', 'every index: size, kind, who may read and write it')
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm nv list')
    .action(async (options: TpmVerbOptions) => {
      const indices = (await withTpm(options, openAll)).map(describe)
      const rows = indices.map((i) => [
        i.index,
        `${i.bytes} bytes`,
        i.kind,
        `read by ${i.readers.join(', ') || 'nobody'}`,
        `written by ${i.writers.join(', ') || 'nobody'}`,
        [...(i.written ? [] : ['never written']), ...(i.purpose === '' ? [] : [i.purpose])].join('; '),
      ])
      outputOf(options).answer({ indices }, rows.length === 0 ? 'no index is defined' : table(rows))
      done(EXIT.yes)
    })
}

async function openAll(tpm: Tpm): Promise<readonly NvIndex[]> {
  const opened: NvIndex[] = []
  for (const index of await tpm.getCapability('handles', NV_FIRST)) opened.push(await tpm.openNv(index))
  return opened
}

function describe({ public: { nvIndex, dataSize, attributes } }: NvIndex) {
  const who = (flags: Readonly<Record<string, boolean>>) => Object.keys(flags).filter((name) => flags[name])
  const { authRead, policyRead, ownerRead, ppRead, authWrite, policyWrite, ownerWrite, ppWrite } = attributes
  return {
    index: formatHandle(nvIndex),
    bytes: dataSize,
    kind: attributes.nvType,
    written: attributes.written,
    readers: who({ password: authRead, policy: policyRead, owner: ownerRead, platform: ppRead }),
    writers: who({ password: authWrite, policy: policyWrite, owner: ownerWrite, platform: ppWrite }),
    locked: who({ reading: attributes.readLocked, writing: attributes.writeLocked }),
    purpose: nvPurpose(nvIndex),
  }
}
