import { Command } from 'commander'
import type { Done } from '../options.ts'
import { endCommand, filedCommand, pushCommand } from './at-broker.ts'
import { computeCommand } from './compute.ts'
import { addCommand, importCommand } from './import.ts'
import { coverageCommand, expireCommand, listCommand, pinsCommand } from './manage.ts'
import { observeCommand } from './observe.ts'

/** `vouchsafe reference …`: what machines are expected to show. */
export function referenceCommand(done: Done): Command {
  return new Command('reference')
    .description('what machines are expected to show: computed, observed, imported; signed, with an end and a history')
    .addCommand(computeCommand(done))
    .addCommand(observeCommand(done))
    .addCommand(addCommand(done))
    .addCommand(importCommand(done))
    .addCommand(listCommand(done))
    .addCommand(expireCommand(done))
    .addCommand(coverageCommand(done))
    .addCommand(pinsCommand(done))
    .addCommand(pushCommand(done))
    .addCommand(filedCommand(done))
    .addCommand(endCommand(done))
}
