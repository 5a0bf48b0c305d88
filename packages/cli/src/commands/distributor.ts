import { Command } from 'commander'
import { programs, runProgram } from '../programs.ts'
import { allowListVerb, listVerb, withdrawVerb } from './distributor-clients.ts'
import { fetchVerb, healthVerb } from './distributor-fetch.ts'
import { provisionVerb, sealVerb } from './distributor-provision.ts'
import { type Done, verb } from './options.ts'

/** `vouchsafe distributor …`: secrets for single instances of a cloud, over the Token Distributor's protocol. */
export function distributorCommand(done: Done): Command {
  return new Command('distributor')
    .description('secrets for approved instances of a cloud, over the Token Distributor’s protocol')
    .addCommand(
      verb('serve', 'serve a broker with the token distributor beside it, until it is told to stop')
        .argument('<config>', 'distributor.json: broker, tenant, transport, identity issuer, instance source')
        .option('--adopt-heads', 'take the store’s log heads as they are: for the first start of a replica')
        .addHelpText('after', '\nExample:\n  $ vouchsafe distributor serve distributor.json')
        .action(async (config: string, options: { adoptHeads?: boolean }) => {
          const flags = options.adoptHeads === true ? ['--adopt-heads'] : []
          done(await runProgram(programs.broker, ['distributor', config, ...flags]))
        }),
    )
    .addCommand(provisionVerb(done))
    .addCommand(fetchVerb(done))
    .addCommand(sealVerb(done))
    .addCommand(listVerb(done))
    .addCommand(allowListVerb(done))
    .addCommand(withdrawVerb(done))
    .addCommand(healthVerb(done))
}
