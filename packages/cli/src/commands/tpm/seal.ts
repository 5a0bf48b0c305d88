import type { Tpm } from '@vouchsafe/tpm'
import { sealForGotpm, sealForGotpmImport, writeGotpm } from '@vouchsafe/tpm/gotpm'
import type { GotpmFormat, StorageKeyKind } from '@vouchsafe/tpm/gotpm'
import { type Command, Option } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { parseBank, parsePcrList, readPassword } from './arguments.ts'
import { readEndorsementKeyFile } from './public-file.ts'
import { registersFrom } from './state-file.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { writePrivateFile } from './write-output.ts'

interface SealVerbOptions extends TpmVerbOptions {
  readonly out: string
  readonly pcrs?: string
  readonly bank: string
  readonly state?: string
  readonly authFile?: string
  readonly srk: StorageKeyKind
  readonly to?: string
  readonly format: GotpmFormat
}

/** `vouchsafe tpm seal`: to this TPM as SealedBytes, or to another one's endorsement key as ImportBlob. */
export function sealCommand(done: Done): Command {
  return tpmVerb('seal', 'seal up to 128 bytes to this TPM and its state, or to another TPM')
    .argument('<file>', 'what to seal; - for standard input')
    .requiredOption('--out <file>', 'file to write; go-tpm-tools read it, too')
    .option('--pcrs <list>', 'registers that must be the same when it is opened; left out, any state opens it')
    .option('--bank <hash>', 'their bank', 'sha256')
    .option('--state <file>', 'their values, from `vouchsafe tpm pcrs --json`; left out, the present ones')
    .option('--auth-file <file>', 'a password that opening needs besides; gotpm cannot open it then')
    .option('--to <file>', 'seal to this endorsement key (certificate, PEM or public area); that TPM imports it')
    .addOption(new Option('--srk <kind>', 'storage key to seal under').choices(['rsa', 'ecc']).default('rsa'))
    .addOption(
      new Option('--format <format>', 'form of the file').choices(['textproto', 'binarypb']).default('textproto'),
    )
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe tpm seal disk.key --pcrs 0,7 --out disk.sealed',
        '  $ vouchsafe tpm unseal disk.sealed --out disk.key',
        '  $ vouchsafe tpm seal disk.key --to their-ek.pem --pcrs 0,7 --state their-state.json --out disk.import',
      ].join('\n'),
    )
    .action(async (file: string, options: SealVerbOptions) => {
      const data = readInput(file)
      const message =
        options.to === undefined
          ? await withTpm(options, (tpm) => sealHere(tpm, data, options))
          : await sealElsewhere(options.to, data, options)
      writePrivateFile(options.out, message)
      const condition = options.pcrs === undefined ? 'in any state' : `while ${options.bank} ${options.pcrs} hold`
      const where = options.to === undefined ? 'this TPM' : `the TPM with the key in ${options.to}`
      const next = options.to === undefined ? 'unseal' : 'import'
      outputOf(options).answer(
        { file: options.out, kind: options.to === undefined ? 'sealed-bytes' : 'import-blob', format: options.format },
        `${options.out}: opens on ${where}, ${condition}\nopen it with: vouchsafe tpm ${next} ${options.out}`,
      )
      done(EXIT.yes)
    })
}

async function sealHere(tpm: Tpm, data: Uint8Array, options: SealVerbOptions): Promise<Uint8Array> {
  const condition = await conditionOf(tpm, options)
  const password = readPassword(options.authFile)
  return writeGotpm(
    'sealed-bytes',
    await sealForGotpm(tpm, { data, srk: options.srk, ...condition, ...password }),
    options.format,
  )
}

async function sealElsewhere(to: string, data: Uint8Array, options: SealVerbOptions): Promise<Uint8Array> {
  if (options.authFile !== undefined)
    throw new UsageError('--to knows no password', 'the other TPM opens it with its endorsement key alone')
  const condition = await conditionOf(undefined, options)
  const endorsementKey = readEndorsementKeyFile(to)
  return writeGotpm('import-blob', sealForGotpmImport({ endorsementKey, data, ...condition }), options.format)
}

async function conditionOf(tpm: Tpm | undefined, { pcrs, bank, state }: SealVerbOptions) {
  if (pcrs === undefined) {
    if (state !== undefined) throw new UsageError('--state without --pcrs seals to nothing', 'add --pcrs 0,7')
    return {}
  }
  return { pcrs: await registersFrom(tpm, parseBank(bank), parsePcrList(pcrs, '--pcrs'), state) }
}
