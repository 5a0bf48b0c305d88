import { Command } from 'commander'
import type { Done } from '../options.ts'
import { bundleCommand } from './bundle.ts'
import { collectCommand } from './collect.ts'
import { diffCommand } from './diff.ts'
import { logCommand } from './log.ts'
import { showCommand } from './show.ts'
import { verifyCommand } from './verify.ts'

/** `vouchsafe evidence …`: what a machine showed. */
export function evidenceCommand(done: Done): Command {
  return new Command('evidence')
    .description('what a machine showed')
    .addCommand(collectCommand(done))
    .addCommand(showCommand(done))
    .addCommand(verifyCommand(done))
    .addCommand(diffCommand(done))
    .addCommand(bundleCommand(done))
    .addCommand(logCommand(done))
}
