import { randomBytes } from 'node:crypto'
import { fromHex, toHex } from '@vouchsafe/core'
import { digest, makeCredential, nodeVerifyCrypto } from '@vouchsafe/tpm'
import { encodeTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { importAttestationKey } from '@vouchsafe/tpm/verify'
import { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { encodeCredentialFile, parseCredentialFile } from './credential-file.ts'
import { KEY_FORMS, withKey } from './key-argument.ts'
import { readEndorsementKeyFile, readPublicFile } from './public-file.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { giveSecret, writePrivateFile, writePublicFile } from './write-output.ts'

interface MakeOptions {
  readonly json?: boolean
  readonly ek: string
  readonly ak?: string
  readonly name?: string
  readonly secret?: string
  readonly newSecret?: string
  readonly out: string
}

/** `vouchsafe tpm credential …`: proves that two keys are in one TPM. */
export function credentialCommand(done: Done): Command {
  return new Command('credential')
    .description('prove that an attestation key is in the TPM of an endorsement key')
    .addCommand(makeCommand(done))
    .addCommand(activateCommand(done))
}

function makeCommand(done: Done): Command {
  return verb('make', 'make a challenge that one TPM can answer; needs no TPM')
    .requiredOption('--ek <file>', 'endorsement key: certificate, PEM, or public area. Verify its certificate first')
    .option('--ak <file>', 'public area of the key to be proved; it must be an attestation key')
    .option('--name <hex>', 'instead of --ak, the key’s name; then its attributes are not checked')
    .option('--secret <file>', 'what the TPM shall give back, 1 to 32 bytes; - for standard input')
    .option('--new-secret <file>', 'instead of --secret, make 32 random bytes and write them there')
    .requiredOption('--out <file>', 'the challenge, as tpm2_activatecredential reads it')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm credential make --ek ek.crt --ak ak.pub --new-secret secret --out challenge\n  $ vouchsafe tpm credential activate challenge --out answer    # on the machine\n  $ cmp secret answer',
    )
    .action(async (options: MakeOptions) => {
      const objectName = await nameToProve(options)
      const credential = secretOf(options)
      const challenge = makeCredential({ endorsementKey: readEndorsementKeyFile(options.ek), objectName, credential })
      if (options.newSecret !== undefined) writePrivateFile(options.newSecret, credential)
      writePublicFile(options.out, encodeCredentialFile(challenge))
      const unchecked =
        options.ak === undefined ? '\nthe attributes of that key were not checked: only its name was given' : ''
      outputOf(options).answer(
        { file: options.out, name: toHex(objectName), attributesChecked: options.ak !== undefined },
        `${options.out}: for the key named ${toHex(objectName)}${unchecked}`,
      )
      done(EXIT.yes)
    })
}

async function nameToProve({ ak, name }: MakeOptions): Promise<Uint8Array> {
  if ((ak === undefined) === (name === undefined))
    throw new UsageError('which key is to be proved?', 'give either --ak FILE or --name HEX')
  if (ak === undefined) return fromHex(name ?? '', '--name')
  const area = readPublicFile(ak)
  // refuses keys that would sign anything they are given (B02)
  await importAttestationKey(encodeTpmPublic(area), nodeVerifyCrypto)
  return tpmName(area, digest)
}

function secretOf({ secret, newSecret }: MakeOptions): Uint8Array {
  if ((secret === undefined) === (newSecret === undefined))
    throw new UsageError('what shall the TPM give back?', 'give either --secret FILE or --new-secret FILE')
  return secret === undefined ? new Uint8Array(randomBytes(32)) : readInput(secret)
}

interface ActivateOptions extends TpmVerbOptions {
  readonly ek: string
  readonly ak: string
  readonly out?: string
}

function activateCommand(done: Done): Command {
  return tpmVerb('activate', 'answer a challenge: gives back its secret')
    .argument('<file>', 'the challenge, from here or from tpm2_makecredential')
    .option('--ek <key>', `endorsement key: ${KEY_FORMS}`, 'ek-rsa')
    .option('--ak <key>', 'the key to be proved', 'ak-ecc')
    .option('--out <file>', 'write the secret there, readable by its owner alone')
    .addHelpText('after', '\nExample:\n  $ vouchsafe tpm credential activate challenge --ek ek-ecc --out answer')
    .action(async (file: string, options: ActivateOptions) => {
      const challenge = parseCredentialFile(readInput(file))
      const secret = await withTpm(options, (tpm) =>
        withKey(tpm, options.ek, (endorsementKey) =>
          withKey(tpm, options.ak, (object) => tpm.activateCredential({ endorsementKey, object, challenge })),
        ),
      )
      giveSecret(outputOf(options), secret, options.out)
      done(EXIT.yes)
    })
}
