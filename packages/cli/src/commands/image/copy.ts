import {
  copyToLayout,
  type Digest,
  type ImageReference,
  pushImage,
  referenceText,
  resolveManifest,
  type TransferOptions,
} from '@vouchsafe/image'
import type { Command } from 'commander'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import {
  type OpenImage,
  platformOption,
  registryClient,
  type RegistryOptions,
  withImage,
  withRegistryOptions,
} from './address.ts'
import { IMAGE_WORDS, namedDigest, parseAddress } from './image-address.ts'
import { Progress, watched } from './progress.ts'
import { withTarget } from './target.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly platform?: string
}

/** `vouchsafe image copy`: the same bytes, and so the same digest, somewhere else. */
export function copyVerb(done: Done): Command {
  return withRegistryOptions(verb('copy', 'copy an image between layouts, archives and registries, byte for byte'))
    .alias('push')
    .argument('<from>', IMAGE_WORDS)
    .argument('<to>', 'a registry reference, oci:DIR[:TAG], or oci-archive:FILE[:TAG]')
    .option('--platform <platform>', 'of an index, only the image for this platform (default: all of it)')
    .addHelpText(
      'after',
      '\nAn index is copied with all its images. Signatures that lie beside an image stay where they are.\n' +
        '\nExamples:\n  $ vouchsafe image push oci:build:v1 registry.example/team/app:v1\n' +
        '  $ vouchsafe image copy registry.example/team/app:v1 oci-archive:app.tar:v1\n' +
        '  $ vouchsafe image copy docker-archive:saved.tar registry.example/team/app:v1',
    )
    .action(async (from: string, to: string, options: Options) => {
      const target = parseAddress(to)
      const progress = new Progress(outputOf(options))
      using interruption = new Interruption()
      const { signal } = interruption
      const copy = async (image: OpenImage) => {
        const digest = await chosenDigest(image, options)
        const wanted = namedDigest(target)
        if (wanted !== undefined && wanted !== digest)
          throw new UsageError(
            `${from} is ${digest}, and not ${wanted}`,
            'copying changes no bytes: leave the digest out of the target',
          )
        const onProgress: TransferOptions['onProgress'] = ({ digest: blob, bytes, size }) =>
          progress.show(blob.slice(0, 19), bytes, size)
        try {
          if (target.kind === 'registry')
            await push({ ...image, digest }, target.reference, options, { onProgress, signal })
          else
            await withTarget(withoutDigest(to), signal, ({ writer, name }) =>
              copyToLayout(watched(image.source, progress), digest, writer, name === undefined ? {} : { name }),
            )
        } finally {
          progress.clear()
        }
        return digest
      }
      const digest = await withImage(from, options, copy, signal)
      const written = target.kind === 'registry' ? referenceText({ ...target.reference, digest }) : to
      outputOf(options).answer({ digest, to: written }, `${digest}\ncopied to ${written}`)
      done(EXIT.yes)
    })
}

/** What is copied: all that the name stands for, or the one image of an index. */
async function chosenDigest({ source, digest }: OpenImage, { platform }: Options): Promise<Digest> {
  if (platform === undefined) return digest
  return (await resolveManifest(source, digest, platformOption(platform))).manifestDigest
}

/** The digest in a target is compared before anything is written. */
function withoutDigest(text: string): string {
  return text.replace(/@.*$/s, '')
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
