import {
  encryptImage,
  type EncryptedImage,
  guestKeys,
  guestRecipient,
  ImageLayout,
  layerDecryptor,
  type OaepHash,
  type Recipients,
  type Rehearsal,
  rehearseDecryption,
} from '@vouchsafe/image'
import { type Command, InvalidArgumentError } from 'commander'
import { withOwner } from '../../files.ts'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { collect, type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { type Granting, grantingAgreements, type PlacedKek, placeKek } from './broker-kek.ts'
import { IMAGE_WORDS, OUT_WORDS } from './image-address.ts'
import { type KeyOptions, readHolders, readRecipients, withKeyOptions } from './layer-keys.ts'
import { bytesText, Progress, watched } from './progress.ts'
import { type Target, withTarget } from './target.ts'

interface Options extends RegistryOptions, KeyOptions {
  readonly json?: boolean
  readonly as?: string
  readonly out: string
  readonly recipient: readonly string[]
  readonly resource?: string
  readonly kek?: string
  readonly key: readonly string[]
  readonly layer?: readonly number[]
  readonly oaepHash?: OaepHash
}

/** `vouchsafe image encrypt`: layers for recipients, the key in a broker, and a rehearsal. */
export function encryptVerb(done: Done): Command {
  return withKeyOptions(
    withRegistryOptions(verb('encrypt', 'encrypt layers, place the key, and rehearse the decryption')),
  )
    .argument('<image>', IMAGE_WORDS)
    .requiredOption('--out <image>', OUT_WORDS)
    .option('--resource <path>', 'for guests: a fresh key goes to the broker under this path')
    .option('--as <file>', 'owner file with key and broker (default: $VOUCHSAFE_OWNER, then owner.json)')
    .option('--kek <file>', 'keep the broker’s key here as well: 32 bytes, made if there is none')
    .option(
      '--recipient <recipient>',
      'jwe:FILE, pkcs7:CERTIFICATE, pgp:ADDRESS, pkcs11:FILE, provider:NAME[:…]; repeatable',
      collect,
      [],
    )
    .option('--layer <n>', 'only this layer, from 0; negative from the top; repeatable', layerNumber)
    .option(
      '--key <key>',
      'opens layers that are encrypted already, which then get more recipients; repeatable',
      collect,
      [],
    )
    .option('--oaep-hash <hash>', 'of pkcs11 recipients: sha256, or sha1 for SoftHSM and 2048-bit keys', 'sha256')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image encrypt oci:build:v1 --out oci:sealed:v1 --resource images/app/key\n  $ vouchsafe image encrypt oci:build:v1 --out oci:sealed:v1 --recipient jwe:alice.pub --recipient pkcs7:bob.crt',
    )
    .action(async (image: string, options: Options) => {
      if (options.resource === undefined && options.recipient.length === 0)
        throw new UsageError(
          'nobody could decrypt the image',
          'give --resource PATH for guests of a broker, or --recipient',
        )
      if (options.oaepHash !== 'sha1' && options.oaepHash !== 'sha256')
        throw new UsageError(`--oaep-hash ${options.oaepHash}`, 'write sha1 or sha256')
      const { resource } = options
      const recipients = await readRecipients(options.recipient, options)
      if (resource === undefined) await run(image, options, recipients)
      else
        await withOwner(options.as, async (client) => {
          const placed = await placeKek(client, resource, options.kek)
          const guests = guestRecipient(placed.kek, { resource })
          const sealed = await run(image, options, [...recipients, guests], placed)
          const granting = await grantingAgreements(client, resource, sealed.image.digest)
          tell(options, sealed, placed, granting)
        })
      done(EXIT.yes)
    })
}

interface Sealed {
  readonly image: EncryptedImage
  readonly rehearsals: readonly Rehearsal[]
  readonly out: string
}

/** Encrypts, then opens what was written as who will use it does: a guest by its packet, else by the keys just made. */
async function run(
  image: string,
  options: Options,
  recipients: readonly Recipients[],
  placed?: PlacedKek,
): Promise<Sealed> {
  const progress = new Progress(outputOf(options))
  const holders = await readHolders(options.key, options)
  using interruption = new Interruption()
  const { signal } = interruption
  const encrypt = ({ source, digest }: OpenImage, { writer, name }: Target) =>
    encryptImage(
      {
        source: watched(source, progress),
        digest,
        recipients,
        holders,
        ...(name === undefined ? {} : { name }),
        ...(options.layer === undefined ? {} : { layers: options.layer }),
        onLayer: ({ number, outcome, size }) => progress.line(`layer ${number}: ${outcome}, ${bytesText(size)}`),
      },
      writer,
    )
  const { made, rehearsals } = await withImage(
    image,
    options,
    (opened) =>
      withTarget(options.out, signal, async (target) => {
        const written = await encrypt(opened, target)
        for (const digest of written.leftOut)
          progress.line(`left out ${digest}: an attestation or another artifact, no image`)
        progress.line('opening every layer again, as its recipients will')
        return { made: written, rehearsals: await rehearse(target.directory, written, signal, placed) }
      }),
    signal,
  )
  const sealed = { image: made, rehearsals, out: options.out }
  if (placed === undefined) tell(options, sealed)
  return sealed
}

async function rehearse(
  directory: string,
  { digest, decryptor }: EncryptedImage,
  signal: AbortSignal,
  placed: PlacedKek | undefined,
): Promise<readonly Rehearsal[]> {
  const written = await ImageLayout.open(directory)
  const own = await rehearseDecryption(written, digest, decryptor, { signal })
  if (placed === undefined) return own
  const guest = guestKeys((path) => Promise.resolve(path === placed.resource ? placed.kek : undefined))
  return rehearseDecryption(written, digest, layerDecryptor([guest]), { signal })
}

function tell(
  options: Options,
  { image, rehearsals, out }: Sealed,
  placed?: PlacedKek,
  granting: readonly Granting[] = [],
): void {
  const inForce = granting.some((found) => found.image && found.missing.length === 0)
  const answer = {
    image: image.digest,
    out,
    layers: image.layers,
    ...(image.leftOut.length === 0 ? {} : { leftOut: image.leftOut }),
    rehearsed: rehearsals.map(({ platform, ...rest }) => ({
      platform: `${platform.os}/${platform.architecture}`,
      ...rest,
    })),
    ...(placed === undefined
      ? {}
      : { key: { resource: placed.resource, version: placed.version }, agreements: granting, releasable: inForce }),
  }
  const files = rehearsals.map((one) => `${one.layers} layers, ${one.files} files`).join('; ')
  const lines = [`${image.digest}`, `written to ${out}; opened again: ${files}`]
  if (placed !== undefined) {
    lines.push(`key: ${placed.resource} version ${placed.version}, in the broker`)
    lines.push(
      inForce
        ? `guests may have it under ${granting.find((found) => found.image)?.agreement ?? ''}`
        : `no guest may have it yet: put this digest and ${placed.resource} into an agreement, and have it approved (vouchsafe agreement new)`,
    )
  }
  outputOf(options).answer(answer, lines.join('\n'))
}

function layerNumber(text: string, before: readonly number[] = []): readonly number[] {
  if (!/^-?\d{1,4}$/.test(text)) throw new InvalidArgumentError('a whole number, from 0, or negative from the top')
  return [...before, Number(text)]
}
