import { Command, CommanderError } from 'commander'
import { agentCommand } from './commands/agent.ts'
import { agreementCommand } from './commands/agreement.ts'
import { brokerCommand } from './commands/broker.ts'
import { dataCommand } from './commands/data.ts'
import { demoCommand } from './commands/demo.ts'
import { doctorCommand } from './commands/doctor.ts'
import { distributorCommand } from './commands/distributor.ts'
import { distrustCommand } from './commands/distrust.ts'
import { evidenceCommand } from './commands/evidence/index.ts'
import { imageCommand } from './commands/image/index.ts'
import { leaseCommand } from './commands/lease.ts'
import { ledgerCommand } from './commands/ledger.ts'
import { machineCommand } from './commands/machine.ts'
import { ownerCommand } from './commands/owner.ts'
import { policyCommand } from './commands/policy/index.ts'
import { referenceCommand } from './commands/reference/index.ts'
import { resourceCommand } from './commands/resource.ts'
import { resultCommand } from './commands/result.ts'
import { tokenCommand } from './commands/token.ts'
import { tpmCommand } from './commands/tpm/index.ts'
import { upCommand } from './commands/up.ts'
import { whyCommand } from './commands/why.ts'
import { EXIT, report } from './output.ts'

/** Runs one command line. @returns The exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command('vouchsafe')
    .description('releases a secret only to code that has proved what it is and where it runs')
    .version('0.1.0')
    .showHelpAfterError('(try --help)')
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      '\nBegin with:\n  $ vouchsafe demo          two clinics, one answer, ten attacks refused\n  $ vouchsafe doctor        what this machine has and lacks',
    )
  let status: number = EXIT.yes
  const done = (exit: number) => void (status = exit)
  for (const command of [
    demoCommand,
    upCommand,
    doctorCommand,
    whyCommand,
    ownerCommand,
    brokerCommand,
    agentCommand,
    agreementCommand,
    resourceCommand,
    dataCommand,
    resultCommand,
    machineCommand,
    leaseCommand,
    distrustCommand,
    distributorCommand,
    imageCommand,
    evidenceCommand,
    referenceCommand,
    policyCommand,
    tokenCommand,
    ledgerCommand,
    tpmCommand,
  ])
    program.addCommand(command(done))
  exitInsteadOfThrowing(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.yes : EXIT.usage
    return report(error, args.includes('--json'))
  }
}

function exitInsteadOfThrowing(command: Command): void {
  command.exitOverride()
  for (const sub of command.commands) exitInsteadOfThrowing(sub)
}
