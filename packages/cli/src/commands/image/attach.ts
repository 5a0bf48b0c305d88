import { readFileSync } from 'node:fs'
import {
  attachBundle,
  attachCosign,
  joinBundle,
  joinCosign,
  parsePayload,
  parsePublicKey,
  parseStatement,
  subjectFor,
} from '@vouchsafe/image/signing'
import { type Command, Option } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { type RegistryOptions, withRegistryOptions } from './address.ts'
import { withRegistryImage } from './signing-options.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly scheme: 'tag' | 'bundle'
  readonly payload: string
  readonly signature: string
  readonly publicKey: string
}

/** `vouchsafe image attach`: what another party signed elsewhere goes to the image, after it was checked. */
export function attachVerb(done: Done): Command {
  return withRegistryOptions(verb('attach', 'put a signature that was made elsewhere beside its image'))
    .argument('<image>', 'a registry reference')
    .requiredOption('--payload <file>', 'the bytes that were signed, from image sign --payload-out')
    .requiredOption('--signature <file>', 'the signature, raw or in base64')
    .requiredOption('--public-key <file>', 'the signer’s key: what it did not sign is not attached')
    .addOption(new Option('--scheme <scheme>', 'as in image sign').choices(['tag', 'bundle']).default('tag'))
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe image attach registry.example/app@sha256:… --payload payload --signature signature --public-key ann.pub',
    )
    .action(async (image: string, options: Options) => {
      const payload = new Uint8Array(readFileSync(options.payload))
      const signature = rawSignature(readFileSync(options.signature))
      const key = parsePublicKey(readFileSync(options.publicKey), options.publicKey)
      await withRegistryImage(image, options, async ({ client, name, descriptor }) => {
        const { digest } = descriptor
        if (options.scheme === 'tag') {
          const joined = joinCosign(payload, signature, key)
          about(parsePayload(payload, 'cosign').manifestDigest === digest, digest, options.payload)
          await attachCosign(client, name, digest, joined)
        } else {
          const statement = statementIn(payload, options.payload)
          const bundle = joinBundle(statement, signature, key)
          const parsed = parseStatement(statement, options.payload)
          about(subjectFor(parsed, digest) !== undefined, digest, options.payload)
          await attachBundle(client, name, descriptor, bundle, parsed.predicateType, new Date())
        }
        outputOf(options).answer(
          { digest, key: key.id, scheme: options.scheme },
          `attached to ${digest}\nkey ${key.id}, ${key.algorithm}`,
        )
      })
      done(EXIT.yes)
    })
}

function about(is: boolean, digest: string, file: string): void {
  if (!is)
    throw new UsageError(
      `${file} was signed for another image than ${digest}`,
      'name the image by the digest it was signed for',
    )
}

/** OpenSSL writes bytes, other tools base64. */
export function rawSignature(bytes: Buffer): Uint8Array {
  const text = bytes.toString('latin1').replace(/\s/g, '')
  const decoded = Buffer.from(text, 'base64')
  return new Uint8Array(decoded.toString('base64') === text && text !== '' ? decoded : bytes)
}

/** Bundles are signed over type and length as well: what is kept is the statement alone. */
function statementIn(signed: Uint8Array, file: string): Uint8Array {
  const [head = '', length = ''] =
    /^DSSEv1 28 application\/vnd\.in-toto\+json ([0-9]+) /.exec(
      Buffer.from(signed.subarray(0, 80)).toString('latin1'),
    ) ?? []
  const statement = signed.subarray(head.length)
  if (head === '' || statement.length !== Number(length))
    throw new UsageError(
      `${file} holds nothing to make a bundle of`,
      'write it with: vouchsafe image sign --scheme bundle --payload-out FILE',
    )
  return statement
}
