import { toHex } from '@vouchsafe/core'
import type { Tpm } from '@vouchsafe/tpm'
import { tpmName, WELL_KNOWN_HANDLES } from '@vouchsafe/tpm/codec'
import type { TpmPublic } from '@vouchsafe/tpm/codec'
import { digest } from '@vouchsafe/tpm'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { table } from '../../table.ts'
import { formatHandle, HANDLE_KIND } from './arguments.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

const PURPOSES = new Map<number, string>(
  Object.entries(WELL_KNOWN_HANDLES).map(([purpose, handle]) => [handle, purpose]),
)

/** `vouchsafe tpm keys list`. */
export function keysListCommand(done: Done): Command {
  return tpmVerb('list', 'persistent keys, and what is loaded now')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm keys list\n\nBehind a resource manager (/dev/tpmrm0) what others have loaded is not shown.',
    )
    .action(async (options: TpmVerbOptions) => {
      const keys = await withTpm(options, listKeys)
      const rows = [...keys.persistent, ...keys.loaded].map((k) => [k.handle, k.key, k.name, k.purpose])
      const sessions = keys.sessions.map((handle) => [handle, 'session', '', ''])
      outputOf(options).answer(
        keys,
        rows.length + sessions.length === 0 ? 'no keys, no sessions' : table([...rows, ...sessions]),
      )
      done(EXIT.yes)
    })
}

async function listKeys(tpm: Tpm) {
  const handles = (kind: number) => tpm.getCapability('handles', kind * 2 ** 24)
  const describe = async (handle: number) => {
    const { outPublic } = await tpm.run('ReadPublic', { objectHandle: handle })
    const name = toHex(tpmName(outPublic, digest))
    return { handle: formatHandle(handle), key: kindOf(outPublic), name, purpose: PURPOSES.get(handle) ?? '' }
  }
  const all = async (kind: number) => {
    const found = []
    for (const handle of await handles(kind)) found.push(await describe(handle))
    return found
  }
  const sessions = [...(await handles(HANDLE_KIND['hmac-session'])), ...(await handles(HANDLE_KIND['saved-session']))]
  return {
    persistent: await all(HANDLE_KIND.persistent),
    loaded: await all(HANDLE_KIND.transient),
    sessions: sessions.map(formatHandle),
  }
}

/** What a key is and may do: `RSA 2048 restricted decrypt`. */
function kindOf(area: TpmPublic): string {
  const algorithm = area.type === 'rsa' ? `RSA ${area.keyBits}` : area.type === 'ecc' ? area.curve : area.type
  const may = (['restricted', 'decrypt', 'sign', 'fixedTPM'] as const).filter((name) => area.attributes[name])
  return [algorithm, ...may].join(' ')
}
