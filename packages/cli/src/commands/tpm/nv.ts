import { Command } from 'commander'
import type { Done } from '../options.ts'
import { nvListCommand } from './nv-list.ts'
import { nvReadCommand } from './nv-read.ts'
import { nvRemoveCommand } from './nv-remove.ts'
import { nvWriteCommand } from './nv-write.ts'

/** `vouchsafe tpm nv …`. */
export function nvCommand(done: Done): Command {
  return new Command('nv')
    .description('the TPM’s non-volatile memory')
    .addCommand(nvListCommand(done))
    .addCommand(nvReadCommand(done))
    .addCommand(nvWriteCommand(done))
    .addCommand(nvRemoveCommand(done))
}
