import { readFileSync } from 'node:fs'
import { parseLogKey, VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Digest, parseDigest } from '@vouchsafe/image'
import type { Command } from 'commander'
import { readOwner } from '../../files.ts'
import { EXIT, UsageError, withHint } from '../../output.ts'
import { collect, type As, type Done, outputOf, verb } from '../options.ts'
import { withImage } from './address.ts'
import { parseAddress } from './image-address.ts'
import { signersOf } from './registry-signatures.ts'
import { parseSignatureProof, verifySignatureProof } from './signature-proof.ts'

interface Options extends As {
  readonly key: readonly string[]
  readonly log?: string
}

/** `vouchsafe image proof`: who signed an image by when, from a file and the log's key alone. */
export function proofVerb(done: Done): Command {
  return verb('proof', 'check offline that somebody signed an image by some time')
    .argument('<file>', 'from image record --proofs, or image approvals --proofs')
    .argument('<image>', 'the digest that was signed: sha256:…, a reference with one, or oci:DIR[:TAG]')
    .option('--key <file>', 'public key of a signer, one of whom it must be; repeatable', collect, [])
    .option('--log <key>', 'the log’s verifier key, name+hash+key, from an agreement (default: your owner file’s)')
    .option('--as <file>', 'owner file (default: $VOUCHSAFE_OWNER, then owner.json); its broker is not asked')
    .addHelpText(
      'after',
      '\nNobody is asked: neither registry nor broker need be there any more. The time is the broker’s, when it took the signature down.\n' +
        '\nExamples:\n  $ vouchsafe image proof proofs/signature-9.json sha256:… --key ann.pub\n' +
        '  $ vouchsafe image proof signature-9.json registry.example/app@sha256:… --key ann.pub --log vouchsafe/…',
    )
    .action(async (file: string, image: string, options: Options) => {
      const signers = signersOf(options.key)
      if (signers.length === 0)
        throw new UsageError('who must have signed?', 'name a signer’s public key: --key ann.pub')
      const wanted = await digestNamed(image)
      const proof = parseSignatureProof(new Uint8Array(readFileSync(file)), file)
      const logKey = parseLogKey(options.log ?? readOwner(options.as).broker.log, nodeCrypto)
      const { image: signed, key, form, at, by, entry, log } = await verifySignatureProof(proof, logKey, nodeCrypto)
      if (signed !== wanted)
        throw withHint(
          new VouchsafeError('image.signature', `${file}: proves a signature of ${signed}, and not of ${wanted}`),
          'the file beside it may prove the other: vouchsafe image approvals IMAGE --proofs DIR writes one for each',
        )
      const who = signers.find((signer) => signer.key.id === key.id)?.name
      if (who === undefined)
        throw withHint(
          new VouchsafeError(
            'image.signature',
            `${file}: signed by key ${key.id}, which is none of those that were named`,
          ),
          'get the signer’s key from the signer, and name it with --key FILE',
        )
      outputOf(options).answer(
        { digest: signed, who, key: key.id, algorithm: key.algorithm, form, at, by, entry, log },
        `${signed}\nsigned by ${who} no later than ${at}: key ${key.id}, ${key.algorithm}\nentry ${entry} of ${log}, shown by ${by}`,
      )
      done(EXIT.yes)
    })
}

/** What a name means to a registry today says nothing of then, and asking is not offline. */
async function digestNamed(text: string): Promise<Digest> {
  if (text.startsWith('sha256:')) return parseDigest(text, 'image')
  const address = parseAddress(text)
  if (address.kind !== 'registry') return withImage(text, {}, ({ digest }) => Promise.resolve(digest))
  const { digest } = address.reference
  if (digest === undefined)
    throw new UsageError(`${text} names no digest`, 'write the digest that was signed: registry.example/app@sha256:…')
  return digest
}
