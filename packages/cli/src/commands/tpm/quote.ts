import { toBase64Url, toHex } from '@vouchsafe/core'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { parseBank, parseNonce, parsePcrList } from './arguments.ts'
import { KEY_FORMS, withKey } from './key-argument.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { writePublicFile } from './write-output.ts'

interface QuoteVerbOptions extends TpmVerbOptions {
  readonly nonce: string
  readonly key: string
  readonly bank: string
  readonly pcrs: string
  readonly out?: string
}

/** `vouchsafe tpm quote`. What it makes, `vouchsafe evidence verify` reads. */
export function quoteCommand(done: Done): Command {
  return tpmVerb('quote', 'sign registers and a nonce with an attestation key')
    .requiredOption('--nonce <hex>', 'the verifier’s nonce, up to 64 bytes')
    .option('--key <key>', `attestation key: ${KEY_FORMS}`, 'ak-ecc')
    .option('--bank <hash>', 'the bank to quote', 'sha256')
    .option('--pcrs <list>', 'which registers', '0-23')
    .option('--out <file>', 'also write the quote as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm quote --nonce $(openssl rand -hex 32) --out quote.json\n  $ vouchsafe evidence verify quote.json --nonce … --trust-key ak.pem',
    )
    .action(async (options: QuoteVerbOptions) => {
      const extraData = parseNonce(options.nonce)
      const [bank, pcrs] = [parseBank(options.bank), parsePcrList(options.pcrs, '--pcrs')]
      if (bank === 'sha1') throw new UsageError('a quote of SHA-1 registers proves nothing', 'take --bank sha256')
      const quote = await withTpm(options, (tpm) =>
        withKey(tpm, options.key, (key) => tpm.quote({ key, bank, pcrs, extraData })),
      )
      const answer = {
        akPublic: toBase64Url(quote.akPublic),
        attest: toBase64Url(quote.attest),
        signature: toBase64Url(quote.signature),
        bank,
        registers: Object.fromEntries([...quote.pcrs.values].map(([n, v]) => [n, toHex(v)])),
      }
      if (options.out !== undefined) writePublicFile(options.out, `${JSON.stringify(answer)}\n`)
      outputOf(options).answer(
        answer,
        [
          `quoted ${pcrs.length} registers of the ${bank} bank`,
          `  attest     ${answer.attest}`,
          `  signature  ${answer.signature}`,
          `  key        ${answer.akPublic}`,
        ].join('\n'),
      )
      done(EXIT.yes)
    })
}
