import { type BuiltImage, buildImage, checkRebuild } from '@vouchsafe/image'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, openTarget, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { buildRequest, readBuildFile } from './build-file.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly out?: string
  readonly check?: string
}

/** `vouchsafe image build`: the same bytes wherever and whenever. */
export function buildVerb(done: Done): Command {
  return withRegistryOptions(verb('build', 'build an image, bit for bit the same on every machine'))
    .argument('<file>', 'what it is made of, as JSON: layers, entrypoint, env, labels, user, base by digest')
    .option('--out <image>', 'layout to write to: oci:DIR or oci:DIR:TAG')
    .option('--check <image>', 'build again, compare with this image, and say where they differ')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image build app.json --out oci:build:v1\n  $ vouchsafe image build app.json --check registry.example/app:v1',
    )
    .action(async (file: string, options: Options) => {
      if ((options.out === undefined) === (options.check === undefined))
        throw new UsageError(
          'neither a place to build to nor an image to check',
          'give --out oci:DIR:TAG, or --check IMAGE',
        )
      const description = readBuildFile(file)
      const run = async (base: OpenImage | undefined) => {
        const request = buildRequest(file, description, base)
        done(options.check === undefined ? await build(request, options) : await check(request, options))
      }
      if (description.base === undefined) await run(undefined)
      else await withImage(description.base, options, run)
    })
}

async function build(request: Parameters<typeof buildImage>[0], options: Options): Promise<number> {
  const { directory, tag } = await openTarget(options.out ?? '')
  const built = await buildImage({ ...request, ...(tag === undefined ? {} : { name: tag }) }, directory)
  const output = outputOf(options)
  for (const warning of built.warnings) output.talk(`warning: ${warning}`)
  output.answer(
    toJson(built),
    `${built.digest}\n${built.layers.length} layers in oci:${directory}${tag === undefined ? '' : `:${tag}`}`,
  )
  return EXIT.yes
}

function toJson(built: BuiltImage) {
  return {
    digest: built.digest,
    config: built.config.digest,
    layers: built.layers.map(({ descriptor, diffId }) => ({
      digest: descriptor.digest,
      size: descriptor.size,
      diffId,
    })),
    warnings: built.warnings,
  }
}

async function check(request: Parameters<typeof buildImage>[0], options: Options): Promise<number> {
  const answer = await withImage(options.check ?? '', options, ({ source, digest }) =>
    checkRebuild(request, { source, digest }),
  )
  const { same, claimed, rebuilt, causes, layers } = answer
  outputOf(options).answer(
    { same, claimed, rebuilt, causes, layers },
    same
      ? `the same: ${claimed}`
      : [`not the same\n  claimed ${claimed}\n  rebuilt ${rebuilt}`, ...causes.map((cause) => `  ${cause}`)].join('\n'),
  )
  return same ? EXIT.yes : EXIT.no
}
