import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Digest, parseLogKey } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { parsePublicKey, parseTrustedRoot } from '@vouchsafe/image/signing'
import type { Command } from 'commander'
import { withOwner } from '../../files.ts'
import { EXIT } from '../../output.ts'
import { type As, type Done, outputOf, verb } from '../options.ts'
import { parseAddress, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { collect } from './encrypt.ts'
import { approvalsInLedger, type LedgerAnswer } from './ledger-approvals.ts'
import { type SeenSignature, signaturesInRegistry } from './registry-signatures.ts'
import { withRegistryImage } from './signing-options.ts'

interface Options extends RegistryOptions, As {
  readonly key: readonly string[]
  readonly trustedRoot?: string
  readonly checkpoint?: string
}

/** `vouchsafe image approvals`: who signed an image, who approved it, and when. */
export function approvalsVerb(done: Done): Command {
  return withRegistryOptions(verb('approvals', 'list who signed an image and who approved it, and when'))
    .argument('<image>', 'a registry reference, or oci:DIR[:TAG] for approvals alone')
    .option('--as <file>', 'owner file with key and broker (default: $VOUCHSAFE_OWNER, then owner.json)')
    .option('--key <file>', 'public key of a signer, to tell who it was; repeatable', collect, [])
    .option('--trusted-root <file>', 'of a transparency log: bundles must be in it, and its time is shown')
    .option('--checkpoint <file>', 'kept from the last look: nothing may have been taken back since; then kept anew')
    .addHelpText(
      'after',
      '\nApprovals come from your broker’s ledger, checked whole; signatures from the registry, which can take them away.\n' +
        '\nExample:\n  $ vouchsafe image approvals registry.example/app@sha256:… --as owner.json --key ann.pub --key ben.pub --checkpoint seen',
    )
    .action(async (image: string, options: Options) => {
      const address = parseAddress(image)
      const { digest, signatures } =
        address.kind === 'layout'
          ? await withImage(image, options, async (opened) => ({ digest: opened.digest, signatures: null }))
          : await withRegistryImage(image, options, async (at) => ({
              digest: at.descriptor.digest,
              signatures: await signaturesInRegistry(at, signersOf(options), rootOf(options)),
            }))
      const ledger = await askLedger(digest, options)
      outputOf(options).answer(
        { digest, approvals: ledger.acts, signatures, problems: ledger.problems, ledger: ledger.statement },
        toText(digest, ledger, signatures),
      )
      done(ledger.problems.length === 0 ? EXIT.yes : EXIT.no)
    })
}

async function askLedger(digest: Digest, { as, checkpoint }: Options): Promise<LedgerAnswer> {
  const { before, lines, after, logKey } = await withOwner(as, async (client, owner) => ({
    // what is filed while the log is read is in neither, or in both
    before: (await client.listAgreements()).agreements,
    lines: (await client.exportLedger()).split('\n').filter((line) => line !== ''),
    after: (await client.listAgreements()).agreements,
    logKey: parseLogKey(owner.broker.log, nodeCrypto),
  }))
  const kept = checkpoint !== undefined && existsSync(checkpoint) ? { kept: readFileSync(checkpoint, 'utf8') } : {}
  const answer = await approvalsInLedger(digest, lines, after, { before, logKey, crypto: nodeCrypto, ...kept })
  // a log that was changed does not take the place of the one that shows it
  if (checkpoint !== undefined && answer.checkpoint !== null) writeFileSync(checkpoint, answer.checkpoint)
  return answer
}

function signersOf({ key }: Options) {
  return key.map((file) => ({ name: file, key: parsePublicKey(readFileSync(file), file) }))
}

function rootOf({ trustedRoot }: Options) {
  return trustedRoot === undefined
    ? undefined
    : parseTrustedRoot(new Uint8Array(readFileSync(trustedRoot)), trustedRoot)
}

function toText(digest: Digest, ledger: LedgerAnswer, signatures: readonly SeenSignature[] | null): string {
  const { acts, problems, statement } = ledger
  return [
    digest,
    ...acts.map(
      ({ at, who, act, name, entry, key }) =>
        `${at}  ${who} ${act} ${name}  ledger entry ${entry}${key === null ? '' : `, key ${key}`}`,
    ),
    ...(acts.length === 0 ? ['no agreement about this image in the ledger'] : []),
    ...(signatures ?? []).map(
      ({ at, who, says, key, place, why }) =>
        `${at ?? 'no time that counts'}  ${who ?? key ?? 'somebody'} ${says}  registry, ${place}${why === null ? '' : `: ${why}`}`,
    ),
    ...(signatures?.length === 0 ? ['no signature in the registry'] : []),
    `ledger: ${statement}`,
    ...problems.map((problem) => `not to be relied upon: ${problem}`),
  ].join('\n')
}
