import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { OwnerClient } from '@vouchsafe/client'
import { fromBase64, parseLogKey } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Digest, ImageError } from '@vouchsafe/image'
import { verifySignatureRecord, writeSignatureRecord } from '@vouchsafe/image/signature-record'
import { findSigstoreSignatures, type FoundSignature, joinCosign } from '@vouchsafe/image/signing'
import type { Command } from 'commander'
import { withOwner } from '../../files.ts'
import { EXIT, UsageError } from '../../output.ts'
import { collect, type As, type Done, outputOf, verb } from '../options.ts'
import { type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { rawSignature } from './attach.ts'
import { type KnownSigner, signersOf } from './registry-signatures.ts'
import {
  formatSignatureProof,
  type ProvedSignature,
  type SignatureProof,
  verifySignatureProof,
} from './signature-proof.ts'

interface Options extends RegistryOptions, As {
  readonly key: readonly string[]
  readonly payload?: string
  readonly signature?: string
  readonly bundle?: string
  readonly proofs?: string
}

/** `vouchsafe image record`: signatures of an image go into the broker's ledger, where nobody takes them away. */
export function recordVerb(done: Done): Command {
  return withRegistryOptions(verb('record', 'enter signatures of an image into your broker’s ledger'))
    .argument('<image>', 'a registry reference, or oci:DIR[:TAG] with a signature from files')
    .option('--as <file>', 'owner file with key and broker (default: $VOUCHSAFE_OWNER, then owner.json)')
    .option('--key <file>', 'public key of a signer: what others signed is not entered; repeatable', collect, [])
    .option(
      '--payload <file>',
      'with --signature: a signature from elsewhere, over these bytes, and not the registry’s',
    )
    .option('--signature <file>', 'the signature over --payload, raw or in base64')
    .option('--bundle <file>', 'a sigstore bundle from elsewhere, and not those of the registry')
    .option('--proofs <dir>', 'write the proof of each, for image proof')
    .addHelpText(
      'after',
      '\nA record says who signed by when. It approves nothing: that takes vouchsafe agreement approve.\n' +
        '\nExamples:\n  $ vouchsafe image record registry.example/app:v1 --as owner.json --key ann.pub --proofs proofs\n' +
        '  $ vouchsafe image record registry.example/app@sha256:… --key ann.pub --bundle approval.sigstore.json\n' +
        '  $ vouchsafe image record oci:app --key ann.pub --payload payload --signature signature',
    )
    .action(async (image: string, options: Options) => {
      const signers = signersOf(options.key)
      if (signers.length === 0)
        throw new UsageError('whose signatures are to be entered?', 'name each signer’s public key: --key ann.pub')
      const { digest, found } = await signaturesOf(image, options, signers)
      const { records, passed } = await recordsOf(digest, found, signers)
      const recorded: Entered[] = []
      if (records.length > 0)
        await withOwner(options.as, async (client, { broker }) => {
          for (const record of records) recorded.push(await enter(client, record, broker.log))
        })
      if (options.proofs !== undefined) {
        const proofs = recorded.map(({ proof, proved }) => ({ proof, entry: proved.entry }))
        writeProofs(options.proofs, proofs)
      }
      const entered = recorded.map(({ proved: { at, by, entry, form, key, log }, repeated }) => {
        const who = signers.find((signer) => signer.key.id === key.id)?.name ?? null
        return { who, key: key.id, form, at, by, entry, log, repeated }
      })
      outputOf(options).answer(
        { digest, recorded: entered, passed },
        [
          digest,
          ...entered.map(
            ({ who, at, entry, repeated }) =>
              `${at}  ${who ?? ''} signed  ledger entry ${entry}${repeated ? ', there before' : ''}`,
          ),
          ...passed.map(({ place, why }) => `not entered: ${place}: ${why}`),
          ...(found.length === 0 ? ['no signature in the registry'] : []),
        ].join('\n'),
      )
      done(entered.length > 0 ? EXIT.yes : EXIT.no)
    })
}

interface Entered {
  readonly proof: SignatureProof
  readonly proved: ProvedSignature
  readonly repeated: boolean
}

/** @internal What the broker answers is proved here before it is told: it may have entered something else, or nothing. */
export async function enter(
  client: Pick<OwnerClient, 'recordSignature'>,
  record: Uint8Array,
  log: string,
): Promise<Entered> {
  const { repeated, receipt, record: kept } = await client.recordSignature(record)
  const proof = { record: fromBase64(kept, 'record'), receipt }
  const proved = await verifySignatureProof(proof, parseLogKey(log, nodeCrypto), nodeCrypto)
  const { id } = await verifySignatureRecord(record)
  if (proved.id !== id)
    throw new ImageError(
      'signature.mismatch',
      `the broker entered another signature, of ${proved.image} by ${proved.key.id}`,
    )
  return { proof, proved, repeated }
}

/** A file for each, named by its entry. */
export function writeProofs(
  directory: string,
  proofs: readonly { readonly entry: number; readonly proof: SignatureProof }[],
): void {
  mkdirSync(directory, { recursive: true })
  for (const { entry, proof } of proofs)
    writeFileSync(path.join(directory, `signature-${entry}.json`), formatSignatureProof(proof))
}

async function signaturesOf(
  image: string,
  options: Options,
  signers: readonly KnownSigner[],
): Promise<{ readonly digest: Digest; readonly found: readonly FoundSignature[] }> {
  const { payload, signature, bundle } = options
  if ((payload === undefined) !== (signature === undefined) || (payload !== undefined && bundle !== undefined))
    throw new UsageError(
      'one signature from elsewhere is wanted',
      'give --payload FILE with --signature FILE, or --bundle FILE, or none of them for those of the registry',
    )
  return withImage(image, options, async ({ digest, client, asked }) => {
    if (payload !== undefined && signature !== undefined)
      return { digest, found: [fromFiles(payload, signature, signers)] }
    if (bundle !== undefined)
      return { digest, found: [{ kind: 'bundle', place: bundle, bundle: new Uint8Array(readFileSync(bundle)) }] }
    if (client === undefined || asked === undefined)
      throw new UsageError(
        `${image} is a local layout, and signatures lie in registries`,
        'name a registry reference, or the signature itself: --bundle FILE, or --payload FILE with --signature FILE',
      )
    return { digest, found: await findSigstoreSignatures(client.reader(asked), digest) }
  })
}

function fromFiles(payloadFile: string, signatureFile: string, signers: readonly KnownSigner[]): FoundSignature {
  const payload = new Uint8Array(readFileSync(payloadFile))
  const signature = rawSignature(readFileSync(signatureFile))
  for (const { key } of signers)
    try {
      return { ...joinCosign(payload, signature, key), place: signatureFile }
    } catch (error) {
      if (!(error instanceof ImageError) || error.code !== 'signature.unverified') throw error
    }
  throw new ImageError(
    'signature.unverified',
    `${signatureFile}: by none of the ${signers.length} keys that were named`,
  )
}

/** Those that can be presented, by the first key that verifies each, and why the others cannot. */
async function recordsOf(
  image: Digest,
  found: readonly FoundSignature[],
  signers: readonly KnownSigner[],
): Promise<{
  readonly records: readonly Uint8Array[]
  readonly passed: readonly { readonly place: string; readonly why: string }[]
}> {
  const records: Uint8Array[] = []
  const passed: { readonly place: string; readonly why: string }[] = []
  for (const one of found) {
    const record = await recordOf(image, one, signers)
    if (record instanceof Uint8Array) records.push(record)
    else passed.push({ place: one.place, why: `${record.code}: ${record.message}` })
  }
  return { records, passed }
}

async function recordOf(
  image: Digest,
  found: FoundSignature,
  signers: readonly KnownSigner[],
): Promise<Uint8Array | ImageError> {
  if (found.kind === 'unreadable') return found.error
  if (found.kind === 'simple') return new ImageError('signature.mismatch', 'OpenPGP signatures are not recorded')
  let why = new ImageError('signature.unverified', `by none of the ${signers.length} keys that were named`)
  for (const { key } of signers) {
    const record = writeSignatureRecord(image, key, found)
    try {
      await verifySignatureRecord(record)
      return record
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      if (error.code !== 'signature.unverified') why = error
    }
  }
  return why
}
