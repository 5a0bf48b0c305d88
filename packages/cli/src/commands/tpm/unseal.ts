import { gotpmFormatOf, readGotpm, unsealFromGotpm } from '@vouchsafe/tpm/gotpm'
import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { parseBank, parsePcrList, readPassword } from './arguments.ts'
import { registersFrom } from './state-file.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { giveSecret } from './write-output.ts'

interface UnsealVerbOptions extends TpmVerbOptions {
  readonly out?: string
  readonly authFile?: string
  readonly sealedIn?: string
  readonly bank: string
  readonly state?: string
}

/** `vouchsafe tpm unseal`: opens SealedBytes. */
export function unsealCommand(done: Done): Command {
  return tpmVerb('unseal', 'open what was sealed to this TPM, by vouchsafe or by gotpm')
    .alias('open')
    .argument('<file>', 'either form of gotpm’s SealedBytes; - for standard input')
    .option('--out <file>', 'write the secret there, readable by its owner alone')
    .option('--auth-file <file>', 'the password it was sealed with')
    .option('--sealed-in <list>', 'open it only if these registers, when it was sealed, had the values of now')
    .option('--bank <hash>', 'their bank', 'sha256')
    .option('--state <file>', 'those values instead of the present ones, from `vouchsafe tpm pcrs --json`')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe tpm unseal disk.sealed | cryptsetup open --key-file - /dev/sdb data\n  $ vouchsafe tpm unseal disk.sealed --sealed-in 0,7 --out disk.key',
    )
    .action(async (file: string, options: UnsealVerbOptions) => {
      const bytes = readInput(file)
      const message = readGotpm('sealed-bytes', bytes, gotpmFormatOf(bytes))
      const password = readPassword(options.authFile)
      const secret = await withTpm(options, async (tpm) => {
        const { sealedIn, bank, state } = options
        if (sealedIn === undefined) return unsealFromGotpm(tpm, message, password)
        const certify = await registersFrom(tpm, parseBank(bank), parsePcrList(sealedIn, '--sealed-in'), state)
        return unsealFromGotpm(tpm, message, { certify, ...password })
      })
      giveSecret(outputOf(options), secret, options.out)
      done(EXIT.yes)
    })
}
