import { Command } from 'commander'
import type { Done } from '../options.ts'
import { keysEvictCommand } from './keys-evict.ts'
import { keysFlushCommand } from './keys-flush.ts'
import { keysListCommand } from './keys-list.ts'
import { keysPersistCommand } from './keys-persist.ts'

/** `vouchsafe tpm keys …`. */
export function keysCommand(done: Done): Command {
  return new Command('keys')
    .description('keys and sessions inside the TPM')
    .addCommand(keysListCommand(done))
    .addCommand(keysPersistCommand(done))
    .addCommand(keysEvictCommand(done))
    .addCommand(keysFlushCommand(done))
}
