import { decryptImage } from '@vouchsafe/image'
import type { Command } from 'commander'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { collect, type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { IMAGE_WORDS, OUT_WORDS } from './image-address.ts'
import { type KeyOptions, readHolders, withKeyOptions } from './layer-keys.ts'
import { bytesText, Progress, watched } from './progress.ts'
import { type Target, withTarget } from './target.ts'

interface Options extends RegistryOptions, KeyOptions {
  readonly json?: boolean
  readonly out: string
  readonly key: readonly string[]
}

/** `vouchsafe image decrypt`: back to the plain image. */
export function decryptVerb(done: Done): Command {
  return withKeyOptions(withRegistryOptions(verb('decrypt', 'decrypt an image into a layout')))
    .argument('<image>', IMAGE_WORDS)
    .requiredOption('--out <image>', OUT_WORDS)
    .requiredOption(
      '--key <key>',
      'private key, OpenPGP ring, certificate or PKCS#11 key file, FILE[:file=PASSPHRASE-FILE|:fd=N]; provider:NAME[:…]; kek:RESOURCE=FILE; repeatable',
      collect,
      [],
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image decrypt oci:sealed:v1 --out oci:plain:v1 --key alice.pem:file=passphrase\n  $ vouchsafe image decrypt oci:sealed:v1 --out oci:plain:v1 --key kek:images/app/key=app.kek',
    )
    .action(async (image: string, options: Options) => {
      if (options.key.length === 0) throw new UsageError('no key to decrypt with', 'give --key FILE')
      const output = outputOf(options)
      const progress = new Progress(output)
      const holders = await readHolders(options.key, options)
      using interruption = new Interruption()
      const { signal } = interruption
      const decrypt = ({ source, digest }: OpenImage, { writer, name }: Target) =>
        decryptImage(
          {
            source: watched(source, progress),
            digest,
            holders,
            ...(name === undefined ? {} : { name }),
            onLayer: ({ number, outcome, size }) => progress.line(`layer ${number}: ${outcome}, ${bytesText(size)}`),
          },
          writer,
        )
      const { out } = options
      const plain = await withImage(
        image,
        options,
        (opened) => withTarget(out, signal, (target) => decrypt(opened, target)),
        signal,
      )
      output.answer({ image: plain.digest, out, layers: plain.layers }, `${plain.digest}\nwritten to ${out}`)
      done(EXIT.yes)
    })
}
