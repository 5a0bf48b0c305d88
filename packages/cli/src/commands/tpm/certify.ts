import { toBase64Url, toHex } from '@vouchsafe/core'
import { encodeTpmPublic } from '@vouchsafe/tpm/codec'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { parseNonce } from './arguments.ts'
import { KEY_FORMS, withKey } from './key-argument.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { writePublicFile } from './write-output.ts'

interface CertifyVerbOptions extends TpmVerbOptions {
  readonly nonce: string
  readonly by: string
  readonly out?: string
}

/** `vouchsafe tpm certify`. Says where a key is; says nothing of what the machine runs (B13). */
export function certifyCommand(done: Done): Command {
  return tpmVerb('certify', 'have an attestation key state that another key is in the same TPM')
    .argument('<key>', `the key to certify: ${KEY_FORMS}`)
    .requiredOption('--nonce <hex>', 'the verifier’s nonce, up to 64 bytes')
    .option('--by <key>', 'the attestation key', 'ak-ecc')
    .option('--out <file>', 'also write the statement as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm certify srk-ecc --nonce $(openssl rand -hex 32) --out certified.json\n\nA certified key says nothing of what the machine runs: for that take `vouchsafe tpm quote`.',
    )
    .action(async (name: string, options: CertifyVerbOptions) => {
      const extraData = parseNonce(options.nonce)
      const answer = await withTpm(options, (tpm) =>
        withKey(tpm, options.by, (key) =>
          withKey(tpm, name, async (object) => {
            const { attest, signature, akPublic } = await tpm.certify({ key, object, extraData })
            return {
              akPublic: toBase64Url(akPublic),
              attest: toBase64Url(attest),
              signature: toBase64Url(signature),
              certifiedPublic: toBase64Url(encodeTpmPublic(object.public)),
              certifiedName: toHex(object.name),
            }
          }),
        ),
      )
      if (options.out !== undefined) writePublicFile(options.out, `${JSON.stringify(answer)}\n`)
      outputOf(options).answer(
        answer,
        `certified key ${answer.certifiedName}\n  attest     ${answer.attest}\n  signature  ${answer.signature}\n  key        ${answer.akPublic}`,
      )
      done(EXIT.yes)
    })
}
