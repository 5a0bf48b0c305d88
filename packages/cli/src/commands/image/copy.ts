import {
  copyToLayout,
  type ImageReference,
  LayoutWriter,
  pushImage,
  referenceText,
  type TransferOptions,
} from '@vouchsafe/image'
import type { Command } from 'commander'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import {
  type OpenImage,
  parseAddress,
  registryClient,
  type RegistryOptions,
  withImage,
  withRegistryOptions,
} from './address.ts'
import { Progress } from './progress.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
}

/** `vouchsafe image copy`: the same bytes, and so the same digest, somewhere else. */
export function copyVerb(done: Done): Command {
  return withRegistryOptions(verb('copy', 'copy an image between layouts and registries, byte for byte'))
    .alias('push')
    .argument('<from>', 'oci:DIR[:TAG], oci:DIR@sha256:…, or a registry reference')
    .argument('<to>', 'a registry reference, or oci:DIR[:TAG]')
    .addHelpText(
      'after',
      '\nAn index is copied with all its images. Signatures that lie beside an image stay where they are.\n' +
        '\nExamples:\n  $ vouchsafe image push oci:build:v1 registry.example/team/app:v1\n' +
        '  $ vouchsafe image copy registry.example/team/app@sha256:… oci:mirror:v1',
    )
    .action(async (from: string, to: string, options: Options) => {
      const target = parseAddress(to)
      const wanted = target.kind === 'layout' ? target.digest : target.reference.digest
      const progress = new Progress(outputOf(options))
      using interruption = new Interruption()
      const { signal } = interruption
      const copy = async (image: OpenImage) => {
        if (wanted !== undefined && wanted !== image.digest)
          throw new UsageError(
            `${from} is ${image.digest}, and not ${wanted}`,
            'copying changes no bytes: leave the digest out of the target',
          )
        const onProgress: TransferOptions['onProgress'] = ({ digest, bytes, size }) =>
          progress.show(digest.slice(0, 19), bytes, size)
        try {
          if (target.kind === 'registry') await push(image, target.reference, options, { onProgress, signal })
          else {
            const writer = await LayoutWriter.open(target.directory, signal)
            const name = target.tag === undefined ? {} : { name: target.tag }
            await copyToLayout(image.source, image.digest, writer, { ...name, onProgress })
          }
        } finally {
          progress.clear()
        }
        return image.digest
      }
      const digest = await withImage(from, options, copy, signal)
      const written = target.kind === 'registry' ? referenceText({ ...target.reference, digest }) : to
      outputOf(options).answer({ digest, to: written }, `${digest}\ncopied to ${written}`)
      done(EXIT.yes)
    })
}

async function push(
  { source, digest, asked }: OpenImage,
  { registry, path, tag }: ImageReference,
  options: RegistryOptions,
  transfer: Pick<TransferOptions, 'onProgress' | 'signal'>,
): Promise<void> {
  const client = registryClient(options)
  // a registry that has the blobs in another repository need not get them again
  const mount = asked?.registry === registry && asked.path !== path ? { mountFrom: asked.path } : {}
  try {
    await pushImage(source, digest, client.endpoint({ registry, path }), {
      ...(tag === undefined ? {} : { tag }),
      ...mount,
      ...transfer,
    })
  } finally {
    client.close()
  }
}
