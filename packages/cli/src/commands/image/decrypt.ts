import { decryptImage } from '@vouchsafe/image'
import type { Command } from 'commander'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { collect, type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, openTarget, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { type KeyOptions, readHolders, withKeyOptions } from './layer-keys.ts'
import { bytesText, Progress } from './progress.ts'

interface Options extends RegistryOptions, KeyOptions {
  readonly json?: boolean
  readonly out: string
  readonly key: readonly string[]
}

/** `vouchsafe image decrypt`: back to the plain image. */
export function decryptVerb(done: Done): Command {
  return withKeyOptions(withRegistryOptions(verb('decrypt', 'decrypt an image into a layout')))
    .argument('<image>', 'oci:DIR[:TAG], oci:DIR@sha256:…, or a registry reference')
    .requiredOption('--out <image>', 'layout to write to: oci:DIR or oci:DIR:TAG')
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
      const { writer, directory, tag } = await openTarget(options.out, signal)
      const decrypt = ({ source, digest }: OpenImage) =>
        decryptImage(
          {
            source,
            digest,
            holders,
            ...(tag === undefined ? {} : { name: tag }),
            onLayer: ({ number, outcome, size }) => progress.line(`layer ${number}: ${outcome}, ${bytesText(size)}`),
          },
          writer,
        )
      const plain = await withImage(image, options, decrypt, signal)
      const out = `oci:${directory}${tag === undefined ? '' : `:${tag}`}`
      output.answer({ image: plain.digest, out, layers: plain.layers }, `${plain.digest}\nwritten to ${out}`)
      done(EXIT.yes)
    })
}
