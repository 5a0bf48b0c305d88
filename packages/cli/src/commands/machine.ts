import { Command } from 'commander'
import { withOwner } from '../files.ts'
import { EXIT } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb, seconds } from './options.ts'
import { table } from '../table.ts'

const DAY = 86_400

/** `vouchsafe machine …`: which machines may show evidence at your broker. */
export function machineCommand(done: Done): Command {
  return new Command('machine')
    .description('machines that may show evidence at your broker')
    .addCommand(
      ownerVerb('ticket', 'make a one-time ticket for enrolling a machine')
        .argument('<name>', 'what you call the machine, for the ledger')
        .option('--again <machine>', 'the ticket is for this enrolled machine, after a restart that you know of')
        .option('--lifetime <seconds>', 'how long the ticket is good for, at most a week', seconds, DAY)
        .addHelpText(
          'after',
          '\nGive the ticket to the operator on a private way: whoever has it can enrol a machine of a maker that you anchor.' +
            '\nAfter a restart evidence is refused (appraisal.reset) until the machine enrols again; its leases end then.' +
            '\n\nExamples:\n  $ vouchsafe machine ticket guest-1\n  $ vouchsafe machine ticket guest-1 --again tpm:3kV…',
        )
        .action(async (name: string, options: As & { again?: string; lifetime: number }) => {
          const made = await withOwner(options.as, (client) =>
            client.issueTicket(name, options.lifetime, options.again),
          )
          outputOf(options).answer(made, made.ticket)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      ownerVerb('list', 'enrolled machines, and those that were')
        .addHelpText('after', '\nExample:\n  $ vouchsafe machine list')
        .action(async (options: As) => {
          const { machines } = await withOwner(options.as, (client) => client.listMachines())
          const rows = machines.map((m) => [
            m.machine,
            m.class,
            `reset ${m.resetCount}, restart ${m.restartCount}`,
            `enrolled ${m.enrolled}`,
            m.ended === null ? '' : `ended ${m.ended}`,
          ])
          outputOf(options).answer({ machines }, rows.length === 0 ? 'no machines' : table(rows))
          done(EXIT.yes)
        }),
    )
    .addCommand(
      ownerVerb('retire', 'end a machine’s enrolment, and its leases')
        .argument('<machine>', 'its id, from `vouchsafe machine list`')
        .addHelpText(
          'after',
          '\nA later ticket can enrol it again. To refuse it whatever it shows, use `vouchsafe distrust`.\n\nExample:\n  $ vouchsafe machine retire tpm:3kV…',
        )
        .action(async (machine: string, options: As) => {
          const retired = await withOwner(options.as, (client) => client.retireMachine(machine))
          const { length } = retired.endedLeases
          outputOf(options).answer(
            retired,
            `${machine} may attest no more; ${length} ${length === 1 ? 'lease' : 'leases'} ended`,
          )
          done(EXIT.yes)
        }),
    )
}
