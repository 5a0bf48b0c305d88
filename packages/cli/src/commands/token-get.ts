import { writeFileSync } from 'node:fs'
import { VouchsafeError, fromUtf8 } from '@vouchsafe/core'
import type { Command } from 'commander'
import { EXIT, withHint } from '../output.ts'
import { IDENTITY_AUDIENCE, type Showing, fetchPatiently, showing } from './distributor-fetch.ts'
import { type Done, outputOf, verb } from './options.ts'

interface GetCommand extends Showing {
  readonly audience: string
  readonly nonce: readonly string[]
  readonly identityAudience: string
  readonly out?: string
}

/** `token get`: what a plain machine shows to others, without a launcher of workloads on it. */
export function getVerb(done: Done): Command {
  return showing(verb('get', 'attest this machine to a distributor, and get a token that says so'))
    .requiredOption('--audience <text>', 'whom the token is for: one that the machine’s owner approved')
    .option('--nonce <text>', 'what the relying party asked to find in it; may be repeated', collected, [])
    .option('--identity-audience <text>', 'audience of the identity document', IDENTITY_AUDIENCE)
    .option('--out <file>', 'write the token to a new file, readable by you alone (default: print it)')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe token get --server tokens.example:50051 --ca ca.pem --broker alice.pin.json --audience https://secrets.example\n  $ curl -H "Authorization: Bearer $(vouchsafe token get … --nonce $NONCE)" https://secrets.example/',
    )
    .action(async (options: GetCommand) => {
      const { audience, nonce: nonces, out } = options
      const {
        secrets,
        decision,
        class: assurance,
      } = await fetchPatiently(options, options.identityAudience, {
        audience,
        nonces,
      })
      const [secret, ...more] = secrets
      if (secret === undefined || more.length > 0)
        throw withHint(
          new VouchsafeError('release.sealed-payload', `${secrets.length} tokens for ${audience}, wanted one`),
          'the owner approved several for one audience: have all but one taken out',
        )
      const token = fromUtf8(secret.value, 'token')
      if (out !== undefined) writeFileSync(out, token, { mode: 0o600, flag: 'wx' })
      const answer = { audience, class: assurance, decision, ...(out === undefined ? { token } : { file: out }) }
      outputOf(options).answer(answer, out === undefined ? token : `${out}: class ${assurance}, decision ${decision}`)
      done(EXIT.yes)
    })
}

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}
