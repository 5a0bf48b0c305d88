import { readFileSync } from 'node:fs'
import { type Digest, ImageError } from '@vouchsafe/image'
import {
  attachBundle,
  type BundleSignature,
  type ExpectedBuild,
  findSigstoreSignatures,
  parseBuildIdentity,
  PREDICATES,
  type Provenance,
  verifyProvenance,
} from '@vouchsafe/image/signing'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { withRegistryImage } from './signing-options.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly identity: string
  readonly commit: string
  readonly file?: string
  readonly attach?: boolean
}

/** `vouchsafe image provenance`: was this image built from this commit, by who may build it? */
export function provenanceVerb(done: Done): Command {
  return withRegistryOptions(verb('provenance', 'check what an image was built from, and by whom'))
    .argument('<image>', 'oci:DIR[:TAG], or a registry reference')
    .requiredOption('--identity <file>', 'who builds the repository: no other’s word counts')
    .requiredOption('--commit <id>', 'the whole id of the commit that it must be built from')
    .option('--file <file>', 'the provenance, as image build wrote it (default: what lies beside the image)')
    .option('--attach', 'with --file: put it beside the image in its registry, if it holds')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image provenance oci:build:v1 --identity builder.identity.json --commit 1f0c… --file app.provenance\n' +
        '  $ vouchsafe image provenance registry.example/app:v1 --identity builder.identity.json --commit 1f0c…',
    )
    .action(async (image: string, options: Options) => {
      if (options.attach === true) done(await attach(image, options))
      else done(await withImage(image, options, (opened) => check(opened, options)))
    })
}

async function check(image: OpenImage, options: Options): Promise<number> {
  const expected = expectedOf(options, image.digest)
  const found = options.file === undefined ? await beside(image) : [fromFile(options.file)]
  const refused: string[] = []
  for (const one of found) {
    const outcome = judge(one, expected)
    if (typeof outcome === 'string') refused.push(outcome)
    else return answer(image.digest, outcome, options)
  }
  outputOf(options).answer(
    { digest: image.digest, accepted: false, refused },
    [`${image.digest}: not shown to be built from ${options.commit}`, ...refused.map((why) => `no  ${why}`)].join('\n'),
  )
  return EXIT.no
}

async function attach(image: string, options: Options): Promise<number> {
  const { file } = options
  if (file === undefined) throw new UsageError('nothing to attach', 'name the provenance: --file FILE')
  return withRegistryImage(image, options, async ({ client, name, descriptor }) => {
    const found = fromFile(file)
    const provenance = verifyProvenance(found, expectedOf(options, descriptor.digest))
    await attachBundle(client, name, descriptor, found.bundle, PREDICATES.slsaprovenance1, new Date())
    return answer(descriptor.digest, provenance, options)
  })
}

function expectedOf({ identity, commit }: Options, digest: Digest): ExpectedBuild {
  return { identity: parseBuildIdentity(new Uint8Array(readFileSync(identity)), identity), commit, digest }
}

function fromFile(file: string): BundleSignature {
  return { kind: 'bundle', place: file, bundle: new Uint8Array(readFileSync(file)) }
}

async function beside({ client, asked, digest }: OpenImage): Promise<readonly BundleSignature[]> {
  if (client === undefined || asked === undefined)
    throw new UsageError('beside a local layout lies no provenance', 'name it: --file FILE')
  const found = await findSigstoreSignatures(client.reader(asked), digest)
  return found.filter((one) => one.kind === 'bundle')
}

/** What does not count is told; it is no error that others left something there. */
function judge(found: BundleSignature, expected: ExpectedBuild): Provenance | string {
  try {
    return verifyProvenance(found, expected)
  } catch (error) {
    if (error instanceof ImageError && /^(?:signature|statement)\./.test(error.code))
      return `${error.code}: ${error.message}`
    throw error
  }
}

function answer(digest: Digest, provenance: Provenance, options: Options): number {
  const { source, commit, tree, description, base, builder, finished } = provenance
  outputOf(options).answer(
    { digest, accepted: true, provenance: { ...provenance, finished: finished.toISOString() } },
    [
      digest,
      `yes ${source}`,
      `    commit ${commit}, tree ${tree}, ${description}`,
      ...(base === undefined ? [] : [`    on ${base.reference}`]),
      `    by ${builder}, ${finished.toISOString()}`,
    ].join('\n'),
  )
  return EXIT.yes
}
