import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Digest, parseLogKey } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { ImageError } from '@vouchsafe/image'
import { findSigstoreSignatures, type FoundSignature, parseTrustedRoot } from '@vouchsafe/image/signing'
import type { Command } from 'commander'
import { withOwner } from '../../files.ts'
import { EXIT } from '../../output.ts'
import { collect, type As, type Done, outputOf, verb } from '../options.ts'
import { type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { parseAddress } from './image-address.ts'
import { approvalsInLedger, type LedgerAnswer } from './ledger-approvals.ts'
import { isInRegistry, type LedgerSignature, signaturesInLedger } from './ledger-signatures.ts'
import { writeProofs } from './record.ts'
import { type KnownSigner, type SeenSignature, signaturesInRegistry, signersOf } from './registry-signatures.ts'
import { withRegistryImage } from './signing-options.ts'

interface Options extends RegistryOptions, As {
  readonly key: readonly string[]
  readonly trustedRoot?: string
  readonly checkpoint?: string
  readonly proofs?: string
}

/** `vouchsafe image approvals`: who signed an image, who approved it, and when. */
export function approvalsVerb(done: Done): Command {
  return withRegistryOptions(verb('approvals', 'list who signed an image and who approved it, and when'))
    .argument('<image>', 'a registry reference, or oci:DIR[:TAG] for what the ledger holds alone')
    .option('--as <file>', 'owner file with key and broker (default: $VOUCHSAFE_OWNER, then owner.json)')
    .option('--key <file>', 'public key of a signer, to tell who it was; repeatable', collect, [])
    .option('--trusted-root <file>', 'of a transparency log: bundles must be in it, and its time is shown')
    .option('--checkpoint <file>', 'kept from the last look: nothing may have been taken back since; then kept anew')
    .option('--proofs <dir>', 'write the proof of each recorded signature, for image proof')
    .addHelpText(
      'after',
      '\nApprovals come from your broker’s ledger, checked whole; so do signatures that image record entered there.\n' +
        'Others come from the registry, which can take them away.\n' +
        '\nExample:\n  $ vouchsafe image approvals registry.example/app@sha256:… --as owner.json --key ann.pub --key ben.pub --checkpoint seen',
    )
    .action(async (image: string, options: Options) => {
      const signers = signersOf(options.key)
      const { digest, found, signatures } = await lookAt(image, options, signers)
      const ledger = await askLedger(digest, options)
      const recorded = await tell(ledger.signatures, found, signers)
      if (options.proofs !== undefined)
        writeProofs(
          options.proofs,
          ledger.signatures.flatMap(({ entry, proof }) => (proof === null ? [] : [{ entry, proof }])),
        )
      outputOf(options).answer(
        {
          digest,
          approvals: ledger.acts,
          recorded,
          signatures,
          problems: ledger.problems,
          ledger: ledger.statement,
        },
        toText(digest, ledger, recorded, signatures),
      )
      done(ledger.problems.length === 0 ? EXIT.yes : EXIT.no)
    })
}

interface Looked {
  readonly digest: Digest
  /** What lies beside the image now; `null` where no registry was asked. */
  readonly found: readonly FoundSignature[] | null
  readonly signatures: readonly SeenSignature[] | null
}

async function lookAt(image: string, options: Options, signers: readonly KnownSigner[]): Promise<Looked> {
  const address = parseAddress(image)
  if (address.kind !== 'registry')
    return withImage(image, options, async ({ digest }) => ({ digest, found: null, signatures: null }))
  try {
    return await withRegistryImage(image, options, async (at) => {
      const { digest } = at.descriptor
      const found = await findSigstoreSignatures(at.client.reader(at.asked), digest)
      return { digest, found, signatures: await signaturesInRegistry(at, found, signers, rootOf(options)) }
    })
  } catch (error) {
    const { digest } = address.reference
    // an image that is gone took its signatures with it; a tag that is gone names none
    if (digest !== undefined && error instanceof ImageError && error.code === 'registry.not-found')
      return { digest, found: [], signatures: [] }
    throw error
  }
}

interface Answer extends LedgerAnswer {
  readonly signatures: readonly LedgerSignature[]
}

async function askLedger(digest: Digest, { as, checkpoint }: Options): Promise<Answer> {
  const { before, lines, after, logKey } = await withOwner(as, async (client, owner) => {
    const show = async () => ({
      agreements: (await client.listAgreements()).agreements,
      signatures: (await client.listSignatures(digest)).signatures,
    })
    return {
      // what is filed while the log is read is in neither, or in both
      before: await show(),
      lines: (await client.exportLedger()).split('\n').filter((line) => line !== ''),
      after: await show(),
      logKey: parseLogKey(owner.broker.log, nodeCrypto),
    }
  })
  const kept = checkpoint !== undefined && existsSync(checkpoint) ? { kept: readFileSync(checkpoint, 'utf8') } : {}
  const trust = { logKey, crypto: nodeCrypto }
  const answer = await approvalsInLedger(digest, lines, after.agreements, {
    before: before.agreements,
    ...trust,
    ...kept,
  })
  // nothing of a log that was changed is shown, nor does it take the place of the one that shows it
  if (answer.checkpoint === null) return { ...answer, signatures: [] }
  const shown = { before: before.signatures, after: after.signatures }
  const { signatures, problems } = await signaturesInLedger(digest, lines, shown, trust)
  if (checkpoint !== undefined) writeFileSync(checkpoint, answer.checkpoint)
  return { ...answer, signatures, problems: [...answer.problems, ...problems] }
}

/** A signature that the ledger holds, and whether the registry has it still. */
interface RecordedSignature extends Pick<LedgerSignature, 'at' | 'entry' | 'by' | 'key'> {
  /** A known signer; `null` for a key that was not named. */
  readonly who: string | null
  /** `null` where no registry was asked, or the broker does not show the signature. */
  readonly inRegistry: boolean | null
}

function tell(
  held: readonly LedgerSignature[],
  found: readonly FoundSignature[] | null,
  signers: readonly KnownSigner[],
): Promise<readonly RecordedSignature[]> {
  return Promise.all(
    held.map(async ({ at, entry, by, key, proof }) => {
      const who = signers.find((signer) => signer.key.id === key)?.name ?? null
      const inRegistry = found === null || proof === null ? null : await isInRegistry(proof.record, found)
      return { at, entry, by, who, key, inRegistry }
    }),
  )
}

function rootOf({ trustedRoot }: Options) {
  return trustedRoot === undefined
    ? undefined
    : parseTrustedRoot(new Uint8Array(readFileSync(trustedRoot)), trustedRoot)
}

function toText(
  digest: Digest,
  { acts, problems, statement }: LedgerAnswer,
  recorded: readonly RecordedSignature[],
  signatures: readonly SeenSignature[] | null,
): string {
  return [
    digest,
    ...acts.map(
      ({ at, who, act, name, entry, key }) =>
        `${at}  ${who} ${act} ${name}  ledger entry ${entry}${key === null ? '' : `, key ${key}`}`,
    ),
    ...(acts.length === 0 ? ['no agreement about this image in the ledger'] : []),
    ...recorded.map(
      ({ at, who, key, by, entry, inRegistry }) =>
        `${at}  ${who ?? key} signed  ledger entry ${entry}, shown by ${by}${inRegistry === false ? '; not, or no longer, in the registry' : ''}`,
    ),
    ...(signatures ?? []).map(
      ({ at, who, says, key, place, why }) =>
        `${at ?? 'no time that counts'}  ${who ?? key ?? 'somebody'} ${says}  registry, ${place}${why === null ? '' : `: ${why}`}`,
    ),
    ...(signatures?.length === 0 ? ['no signature in the registry'] : []),
    `ledger: ${statement}`,
    ...problems.map((problem) => `not to be relied upon: ${problem}`),
  ].join('\n')
}
