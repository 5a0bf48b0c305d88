import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { type BuiltImage, buildImage, checkRebuild, type Digest } from '@vouchsafe/image'
import type { Command } from 'commander'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { printable } from '../../printable.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { assertWithin, baseOf, buildRequest, readBuildFile } from './build-file.ts'
import { type Builder, openBuilder, signProvenance, withCommit } from './from-commit.ts'
import { OUT_WORDS } from './image-address.ts'
import { Progress } from './progress.ts'
import { withTarget } from './target.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly out?: string
  readonly check?: string
  readonly fromCommit?: string
  readonly repository: string
  readonly identity?: string
  readonly identityKey?: string
  readonly passphraseFile?: string
  readonly provenance?: string
}

/** `vouchsafe image build`: the same bytes wherever and whenever. */
export function buildVerb(done: Done): Command {
  return withRegistryOptions(verb('build', 'build an image, bit for bit the same on every machine'))
    .argument('<file>', 'what it is made of, as JSON: layers, entrypoint, env, labels, user, base by digest')
    .option('--out <image>', OUT_WORDS)
    .option('--check <image>', 'build again, compare with this image, and say where they differ')
    .option('--from-commit <id>', 'take the file, and all that it names, from this commit and not from the work tree')
    .option('--repository <dir>', 'with --from-commit: the git repository', '.')
    .option('--identity <file>', 'with --from-commit: who builds this repository, as image key wrote it')
    .option('--identity-key <file>', 'private key of that identity')
    .option('--passphrase-file <file>', 'holds the passphrase of the key')
    .option('--provenance <file>', 'write here what was built from what, signed by the identity')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image build app.json --out oci:build:v1\n  $ vouchsafe image build app.json --check registry.example/app:v1\n' +
        '  $ vouchsafe image build app.json --from-commit $(git rev-parse HEAD) --out oci:build:v1 \\\n' +
        '      --identity builder.identity.json --identity-key builder --passphrase-file pass --provenance app.provenance',
    )
    .action(async (file: string, options: Options) => {
      if ((options.out === undefined) === (options.check === undefined))
        throw new UsageError(
          options.out === undefined
            ? 'neither a place to build to nor an image to check'
            : 'both a place to build to and an image to check',
          'give --out oci:DIR:TAG, or --check IMAGE',
        )
      const builder = openBuilder(options)
      if (options.fromCommit === undefined) done(await buildFrom(file, options))
      else
        await withCommit(options.repository, options.fromCommit, async (checkedOut, tree) => {
          const described = path.resolve(tree, file)
          assertWithin(described, tree)
          const state = builder === undefined ? undefined : { builder, checkedOut, description: file }
          const commit = { tree, file: path.resolve(options.repository, file) }
          done(await buildFrom(described, options, commit, state))
        })
    })
}

/** What is stated about a build, where somebody states it. */
interface Stating {
  readonly builder: Builder
  readonly checkedOut: Parameters<Parameters<typeof withCommit>[2]>[0]
  readonly description: string
}

/** @param commit - Where it is checked out, and where the file lies in its repository. */
async function buildFrom(
  file: string,
  options: Options,
  commit?: { readonly tree: string; readonly file: string },
  stating?: Stating,
): Promise<number> {
  const description = readBuildFile(file)
  const run = async (base: OpenImage | undefined) => {
    const request = buildRequest(file, description, base, commit?.tree)
    if (options.check !== undefined) return check(request, options)
    const provenance = (digest: Digest) => {
      if (stating === undefined) return undefined
      const from =
        description.base === undefined || base === undefined
          ? {}
          : { base: { reference: description.base, digest: base.digest } }
      return signProvenance(digest, { ...stating, ...from })
    }
    return build(request, options, provenance)
  }
  const base = baseOf(description, commit?.file ?? file)
  return base === undefined ? run(undefined) : withImage(base, options, run)
}

async function build(
  request: Parameters<typeof buildImage>[0],
  options: Options,
  provenance: (digest: Digest) => Uint8Array | undefined,
): Promise<number> {
  using interruption = new Interruption()
  const { signal } = interruption
  const output = outputOf(options)
  const progress = new Progress(output)
  const onBytes = (position: number, bytes: number) => progress.show(`layer ${position + 1}`, bytes, 0)
  const built = await withTarget(options.out ?? '', signal, ({ directory, name }) =>
    buildImage({ ...request, signal, onBytes, ...(name === undefined ? {} : { name }) }, directory),
  ).finally(() => progress.clear())
  const stated = provenance(built.digest)
  if (stated !== undefined && options.provenance !== undefined) writeFileSync(options.provenance, stated)
  for (const warning of built.warnings) output.talk(`warning: ${warning}`)
  output.answer(
    { ...toJson(built), ...(stated === undefined ? {} : { provenance: options.provenance }) },
    `${built.digest}\n${built.layers.length} layers in ${options.out ?? ''}`,
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
      : [
          `not the same\n  claimed ${claimed}\n  rebuilt ${rebuilt}`,
          ...causes.map((cause) => `  ${printable(cause)}`),
        ].join('\n'),
  )
  return same ? EXIT.yes : EXIT.no
}
