import { Command } from 'commander'
import { withOwner } from '../files.ts'
import { EXIT } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb } from './options.ts'
import { table } from '../table.ts'

/** `vouchsafe lease …`: what is out, and until when. */
export function leaseCommand(done: Done): Command {
  return new Command('lease').description('releases that are running').addCommand(
    ownerVerb('list', 'running leases')
      .addHelpText(
        'after',
        '\nA lease limits renewal: it cannot take a key back that a machine has. To end one, withdraw the agreement, retire the' +
          '\nmachine, or distrust what it relied on.\n\nExample:\n  $ vouchsafe lease list',
      )
      .action(async (options: As) => {
        const { leases } = await withOwner(options.as, (client) => client.listLeases())
        const rows = leases.map((l) => [
          l.id,
          l.machine,
          `decision ${l.decision}`,
          `expires ${l.expires}`,
          `renewed ${l.renewals} ${l.renewals === 1 ? 'time' : 'times'}`,
        ])
        outputOf(options).answer({ leases }, rows.length === 0 ? 'no running leases' : table(rows))
        done(EXIT.yes)
      }),
  )
}
