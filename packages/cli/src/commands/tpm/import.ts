import type { Tpm, TpmKey, TpmObject } from '@vouchsafe/tpm'
import { parseTpmPublic } from '@vouchsafe/tpm/codec'
import type { TpmPublic } from '@vouchsafe/tpm/codec'
import { toHex, VouchsafeError } from '@vouchsafe/core'
import { gotpmFormatOf, openGotpmImport, readGotpm } from '@vouchsafe/tpm/gotpm'
import type { GotpmMessage } from '@vouchsafe/tpm/gotpm'
import type { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { formatHandle, HANDLE_KIND, parseHandle } from './arguments.ts'
import { KEY_FORMS, withKey } from './key-argument.ts'
import { encodePublicFile, encodeSized, readPublicFile, readSizedFile } from './public-file.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { giveSecret, writePrivateFile, writePublicFile } from './write-output.ts'

interface ImportVerbOptions extends TpmVerbOptions {
  readonly parent?: string
  readonly out?: string
  readonly public?: string
  readonly duplicate?: string
  readonly seed?: string
  readonly innerKey?: string
  readonly persist?: string
  readonly outPrivate?: string
  readonly outPublic?: string
}

/** A key or secret on its way here. */
interface Incoming {
  readonly public: TpmPublic
  readonly duplicate: Uint8Array
  readonly encryptedSeed: Uint8Array
  readonly innerKey?: Uint8Array
}

/** RSA-2048 seeds are one block; those of curves are points. */
const RSA_SEED_BYTES = 256

/** `vouchsafe tpm import`: an ImportBlob, or a duplicate in the files of tpm2-tools. */
export function importCommand(done: Done): Command {
  return tpmVerb('import', 'take in what was sealed or duplicated to a key of this TPM')
    .argument('[file]', 'either form of an ImportBlob, from `vouchsafe tpm seal --to` or go-tpm-tools')
    .option('--parent <key>', `the key it was made for: ${KEY_FORMS} (default: ek-rsa or ek-ecc, by its form)`)
    .option('--out <file>', 'write the secret there, readable by its owner alone')
    .option('--public <file>', 'a duplicate’s public area, as tpm2_duplicate’s neighbours write it')
    .option('--duplicate <file>', 'a duplicate’s private part')
    .option('--seed <file>', 'a duplicate’s encrypted seed')
    .option('--inner-key <file>', 'key of a duplicate’s inner wrapper')
    .option('--persist <handle>', 'keep an imported key under this persistent handle')
    .option('--out-private <file>', 'write an imported key’s private part, as tpm2_load takes it')
    .option('--out-public <file>', 'write its public area')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe tpm import disk.import --out disk.key',
        '  $ vouchsafe tpm import --public k.pub --duplicate k.dup --seed k.seed --parent 0x81000001 --persist 0x81000010',
      ].join('\n'),
    )
    .action(async (file: string | undefined, options: ImportVerbOptions) => {
      const message = file === undefined ? undefined : readMessage(file)
      const incoming = message === undefined ? duplicateOf(options) : incomingOf(message)
      const parent = options.parent ?? (incoming.encryptedSeed.length === RSA_SEED_BYTES ? 'ek-rsa' : 'ek-ecc')
      const output = outputOf(options)
      if (message !== undefined && incoming.public.type === 'keyedhash') {
        const secret = await withTpm(options, (tpm) =>
          withKey(tpm, parent, (endorsementKey) => openGotpmImport(tpm, message, { endorsementKey })),
        )
        giveSecret(output, secret, options.out)
      } else {
        const { name, persistent } = await withTpm(options, (tpm) =>
          withKey(tpm, parent, (key) => importKey(tpm, key, incoming, options)),
        )
        const kept = persistent === undefined ? '' : `, kept under ${persistent}`
        output.answer({ name, ...(persistent !== undefined && { persistent }) }, `imported key ${name}${kept}`)
      }
      done(EXIT.yes)
    })
}

function readMessage(file: string): GotpmMessage<'import-blob'> {
  const bytes = readInput(file)
  return readGotpm('import-blob', bytes, gotpmFormatOf(bytes))
}

function incomingOf({ publicArea, duplicate, encryptedSeed }: GotpmMessage<'import-blob'>): Incoming {
  return { public: parseTpmPublic(publicArea), duplicate, encryptedSeed }
}

function duplicateOf({ public: area, duplicate, seed, innerKey }: ImportVerbOptions): Incoming {
  if (area === undefined || duplicate === undefined || seed === undefined)
    throw new UsageError('nothing to import', 'name an ImportBlob, or --public, --duplicate and --seed')
  return {
    public: readPublicFile(area),
    duplicate: readSizedFile(duplicate),
    encryptedSeed: readSizedFile(seed),
    ...(innerKey !== undefined && { innerKey: new Uint8Array(readFileSync(innerKey)) }),
  }
}

async function importKey(tpm: Tpm, parent: TpmKey, incoming: Incoming, options: ImportVerbOptions) {
  const { persist, outPrivate, outPublic } = options
  if (persist === undefined && outPrivate === undefined)
    throw new UsageError('an imported key would be lost', 'keep it with --persist 0x81000010 or --out-private FILE')
  const imported = await tpm.import({ parent, ...incoming })
  await using object = await tpm.load({ parent, public: incoming.public, private: imported })
  const persistent = persist === undefined ? undefined : await keep(tpm, object, persist)
  if (outPrivate !== undefined) writePrivateFile(outPrivate, encodeSized(imported))
  if (outPublic !== undefined) writePublicFile(outPublic, encodePublicFile(incoming.public))
  return { name: toHex(object.name), persistent }
}

async function keep(tpm: Tpm, object: TpmObject, handle: string): Promise<string> {
  const kept = await tpm.persist({
    object,
    handle: parseHandle(handle, 'a persistent handle', [HANDLE_KIND.persistent]),
  })
  if (Buffer.compare(kept.name, object.name) !== 0)
    throw new VouchsafeError('internal', `another key is under ${handle}`)
  return formatHandle(kept.handle)
}
