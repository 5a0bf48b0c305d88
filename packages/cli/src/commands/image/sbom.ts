import { writeFileSync } from 'node:fs'
import { type ResolvedImage, resolveImage } from '@vouchsafe/image'
import { type ListedContents, listContents, type Sbom, type SbomFormat, writeSbom } from '@vouchsafe/image/sbom'
import { attachBundle, signBundle, writeStatement } from '@vouchsafe/image/signing'
import { type Command, Option } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { platformOption, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { IMAGE_WORDS } from './image-address.ts'
import { Progress } from './progress.ts'
import { readSigningKey, type SigningKeyOptions, withRegistryImage } from './signing-options.ts'

interface Options extends RegistryOptions, SigningKeyOptions {
  readonly json?: boolean
  readonly format: SbomFormat
  readonly out?: string
  readonly platform?: string
}

/** `vouchsafe image sbom`: what an image says that it holds, as a document, and signed where a key is given. */
export function sbomVerb(done: Done): Command {
  return withRegistryOptions(
    verb('sbom', 'list what an image holds as SPDX or CycloneDX; with --key sign the list and attach it'),
  )
    .argument('<image>', IMAGE_WORDS)
    .addOption(
      new Option('--format <format>', 'SPDX 2.3 or CycloneDX 1.6').choices(['spdx', 'cyclonedx']).default('spdx'),
    )
    .option('--out <file>', 'write the document here')
    .option('--key <file>', 'private key: sign the list as a statement about the image, and attach it')
    .option('--passphrase-file <file>', 'holds the passphrase of the key')
    .option('--platform <platform>', 'of an index (default: linux/amd64)')
    .addHelpText(
      'after',
      '\nWhat is listed are Debian, Alpine and npm packages, by the image’s own databases.\n\nExamples:\n' +
        '  $ vouchsafe image sbom oci:build:v1 --out app.spdx.json\n' +
        '  $ vouchsafe image sbom registry.example/app:v1 --format cyclonedx --key builder.key --passphrase-file pass\n' +
        '  $ vouchsafe image verify registry.example/app:v1 --key builder.key.pub --type cyclonedx --out app.cdx.json',
    )
    .action(async (image: string, options: Options) => {
      if (options.key === undefined) await write(image, options)
      else await signAndAttach(image, options, options.key)
      done(EXIT.yes)
    })
}

async function write(text: string, options: Options): Promise<void> {
  await withImage(text, options, async ({ source, digest, asked }) => {
    const image = await resolveImage(source, digest, platform(options))
    const name =
      asked === undefined ? text.replace(/^oci:/, '').replace(/[:@].*$/, '') : `${asked.registry}/${asked.path}`
    const contents = await readListed(() => listContents(source, image), options)
    answer(makeSbom(options.format, name, image, contents), image, contents, options, {})
  })
}

async function signAndAttach(text: string, options: Options, file: string): Promise<void> {
  const key = readSigningKey(file, options)
  await withRegistryImage(text, options, async ({ client, name, descriptor, opened }) => {
    const image = await resolveImage(opened.source, descriptor.digest, platform(options))
    const contents = await readListed(() => listContents(opened.source, image), options)
    const sbom = makeSbom(options.format, `${name.registry}/${name.path}`, image, contents)
    // about the manifest whose layers were read; where an index was asked for, that is not the index
    const subject = {
      mediaType: image.manifest.mediaType,
      digest: image.manifestDigest,
      size: image.manifestBytes.length,
      annotations: new Map<string, string>(),
    }
    const statement = writeStatement({
      subjects: [{ name: `${name.registry}/${name.path}`, digest: image.manifestDigest }],
      predicateType: sbom.predicateType,
      predicate: sbom.document,
    })
    const stored = await attachBundle(client, name, subject, signBundle(statement, key), sbom.predicateType, new Date())
    answer(sbom, image, contents, options, { stored, key: key.public.id })
  })
}

function platform(options: Options) {
  return { platform: platformOption(options.platform ?? 'linux/amd64') }
}

/** The image's own time, so that the same image gives the same list everywhere. */
function makeSbom(format: SbomFormat, name: string, image: ResolvedImage, contents: ListedContents): Sbom {
  const at = new Date(image.config.created ?? 0)
  return writeSbom(format, { digest: image.manifestDigest, name, at }, contents)
}

async function readListed(read: () => Promise<ListedContents>, options: Options): Promise<ListedContents> {
  const progress = new Progress(outputOf(options))
  progress.line('reading layers')
  return read()
}

function answer(
  sbom: Sbom,
  image: ResolvedImage,
  { packages }: ListedContents,
  options: Options,
  more: { readonly stored?: string; readonly key?: string },
): void {
  if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(sbom.document, null, 2)}\n`)
  const summary = { digest: image.manifestDigest, format: sbom.format, packages: packages.length, ...more }
  const place = options.out === undefined ? {} : { written: options.out }
  const isQuiet = options.out !== undefined || more.stored !== undefined
  outputOf(options).answer(
    { ...summary, ...place, ...(isQuiet ? {} : { document: sbom.document }) },
    isQuiet
      ? [
          `${packages.length} packages in ${image.manifestDigest}`,
          ...(options.out === undefined ? [] : [options.out]),
          ...(more.stored === undefined ? [] : [`signed by ${more.key ?? ''}, attached as ${more.stored}`]),
        ].join('\n')
      : JSON.stringify(sbom.document, null, 2),
  )
}
