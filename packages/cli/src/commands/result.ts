import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { type OpenedResult, openResult, verifyMaker } from '@vouchsafe/client'
import { type P256Jwk, VouchsafeError } from '@vouchsafe/core'
import { Command } from 'commander'
import { withOwner } from '../files.ts'
import { EXIT } from '../output.ts'
import { readAgreement } from './agreement.ts'
import { type As, type Done, outputOf, verb } from './options.ts'

/** `vouchsafe result …`: the answers that agents seal to the agreement's recipients. */
export function resultCommand(done: Done): Command {
  return new Command('result')
    .description('answers that agents seal to an agreement’s recipients')
    .addCommand(
      verb('key', 'make a recipient’s key, and print its public half for the agreement')
        .argument('<file>', 'where to write the private key (PEM, readable by you alone)')
        .addHelpText('after', '\nExample:\n  $ vouchsafe result key clinic-a-results.pem > clinic-a-results.jwk')
        .action((file: string, options: { json?: boolean }) => {
          const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
          writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' })
          const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
          const jwk: P256Jwk = { kty: 'EC', crv: 'P-256', x, y }
          outputOf(options).answer({ key: jwk, file }, JSON.stringify(jwk))
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('open', 'open a sealed result, and ask your broker whether the attested workload made it')
        .argument('<file>', 'the sealed result')
        .requiredOption('--agreement <file>', 'the agreement that it must come from')
        .requiredOption('--recipient <id>', 'who you are in the agreement')
        .requiredOption('--key <file>', 'your private key, from: vouchsafe result key')
        .option('--as <file>', 'owner file: the key that signed is looked up in your broker’s record of its release')
        .addHelpText(
          'after',
          '\nWithout --as the result opens, and nothing shows who made it.\n\nExample:\n' +
            '  $ vouchsafe result open results/clinic-a.jwe --agreement overlap.json --recipient clinic-a \\\n      --key clinic-a-results.pem --as owner.json',
        )
        .action(async (file: string, options: As & { agreement: string; recipient: string; key: string }) => {
          const { digest } = readAgreement(options.agreement)
          const opened = await openResult(
            readFileSync(file, 'utf8').trim(),
            { agreement: digest, recipient: options.recipient },
            createPrivateKey(readFileSync(options.key)),
          )
          const madeBy = options.as === undefined ? null : await makerOf(opened, options.as)
          outputOf(options).answer({ ...opened, madeBy }, `${opened.text}\n${sayMaker(madeBy)}`)
          done(EXIT.yes)
        }),
    )
}

/** Asks the owner's own broker for the release that the result names. */
async function makerOf(opened: OpenedResult, as: string): Promise<{ machine: string; decision: string }> {
  return withOwner(as, async (client, { broker }) => {
    const decision = opened.decisions[broker.tenant]
    if (decision === undefined)
      throw new VouchsafeError('release.sealed-payload', `the result names no release of ${broker.tenant}`)
    const { record } = await client.decision(decision)
    await verifyMaker(opened, record, broker.decisions)
    return { machine: opened.machine, decision }
  })
}

function sayMaker(madeBy: { machine: string; decision: string } | null): string {
  return madeBy === null
    ? 'who made it was not checked (give --as)'
    : `made by the workload that ${madeBy.decision} released to, on ${madeBy.machine}`
}
