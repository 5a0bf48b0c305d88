import { Command } from 'commander'
import { programs, runProgram } from '../programs.ts'
import { type Done, verb } from './options.ts'

/** `vouchsafe agent …`: the guest's side, as a process of its own. */
export function agentCommand(done: Done): Command {
  return new Command('agent')
    .description('the guest’s side: prove what this machine runs, and run it')
    .addCommand(
      verb('enrol', 'enrol this machine’s TPM with each broker of an agreement')
        .argument('<config>', 'agent.json')
        .argument('<tickets>', 'JSON with one ticket an owner; - for standard input')
        .action(async (config: string, tickets: string) =>
          done(await runProgram(programs.agent, ['enrol', config, tickets])),
        ),
    )
    .addCommand(
      verb('run', 'launch the agreement’s workload, once all owners have released what it needs')
        .argument('<config>', 'agent.json')
        .action(async (config: string) => done(await runProgram(programs.agent, ['run', config]))),
    )
}
