import type { Tpm } from '@vouchsafe/tpm'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle, HANDLE_KIND, parseHandle } from './arguments.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'

const VOLATILE = [HANDLE_KIND.transient, HANDLE_KIND['hmac-session'], HANDLE_KIND['saved-session']]

/** `vouchsafe tpm keys flush`. */
export function keysFlushCommand(done: Done): Command {
  return tpmVerb('flush', 'unload keys and sessions that somebody left behind')
    .argument('[handle...]', 'only these; left out, all that are loaded')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm keys flush\n\nA program that is using them right now is disturbed. Behind a resource manager there is nothing to flush.',
    )
    .action(async (texts: readonly string[], options: TpmVerbOptions) => {
      const named = texts.map((text) => parseHandle(text, 'a loaded object or session', VOLATILE))
      const flushed = await withTpm(options, (tpm) => flush(tpm, named))
      outputOf(options).answer({ flushed }, `${flushed.length} flushed${flushed.map((h) => `\n  ${h}`).join('')}`)
      done(EXIT.yes)
    })
}

async function flush(tpm: Tpm, named: readonly number[]): Promise<readonly string[]> {
  const handles = [...named]
  if (named.length === 0)
    for (const kind of VOLATILE) handles.push(...(await tpm.getCapability('handles', kind * 2 ** 24)))
  for (const flushHandle of handles) await tpm.run('FlushContext', { flushHandle })
  return handles.map(formatHandle)
}
