import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { PrincipalKey } from '@vouchsafe/client'
import { brokerPinSchema, parseSchema, parseStrictJson, wire } from '@vouchsafe/core'
import { Command } from 'commander'
import { withOwner, writeOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb, verb } from './options.ts'

/** `vouchsafe owner …`: identities of owners, operators and auditors. */
export function ownerCommand(done: Done): Command {
  const command = new Command('owner').description('identities of owners, operators and auditors')
  command
    .addCommand(
      verb('key', 'make an Ed25519 key, and print its public part')
        .argument('<file>', 'where to write the key (PEM, readable by you alone)')
        .addHelpText('after', '\nExample:\n  $ vouchsafe owner key clinic-a.pem\n  ed25519:…')
        .action((file: string, options: { json?: boolean }) => {
          if (existsSync(file))
            throw new UsageError(`${file} is there already`, 'choose another name; keys are never overwritten')
          const key = PrincipalKey.generate()
          writeFileSync(file, key.toPem(), { mode: 0o600, flag: 'wx' })
          outputOf(options).answer({ key: key.key, file }, key.key)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('init', 'write an owner file: your key, and the broker that you pin')
        .requiredOption('--key <file>', 'PEM key')
        .requiredOption('--broker <file>', 'the broker’s pin, as `broker init` printed it')
        .option('--out <file>', 'owner file to write', 'owner.json')
        .addHelpText('after', '\nExample:\n  $ vouchsafe owner init --key clinic-a.pem --broker clinic-a.pin.json')
        .action((options: { key: string; broker: string; out: string; json?: boolean }) => {
          const broker = parseSchema(
            brokerPinSchema,
            parseStrictJson(readFileSync(options.broker), { maxBytes: 65_536 }),
            options.broker,
          )
          PrincipalKey.fromPem(readFileSync(options.key, 'utf8'))
          writeOwner(options.out, options.key, broker)
          outputOf(options).answer(
            { file: options.out, broker: broker.id, tenant: broker.tenant },
            `${options.out}: ${broker.tenant} at ${broker.url}`,
          )
          done(EXIT.yes)
        }),
    )
  command.addCommand(
    ownerVerb('add', 'let another key act at your broker')
      .argument('<id>', 'who it belongs to, for the ledger')
      .argument('<key>', 'ed25519:…, as `vouchsafe owner key` prints it')
      .requiredOption('--role <role>', 'owner, operator (makes tickets) or auditor (reads)')
      .addHelpText('after', '\nExample:\n  $ vouchsafe owner add auditor ed25519:… --role auditor')
      .action(async (id: string, key: string, options: As & { role: string }) => {
        const principal = parseSchema(wire.principalRequest, { id, key, role: options.role }, 'owner add')
        await withOwner(options.as, (client) => client.addPrincipal(principal))
        outputOf(options).answer(principal, `${id} may act as ${principal.role}`)
        done(EXIT.yes)
      }),
  )
  return command
}
