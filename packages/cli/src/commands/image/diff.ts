import {
  type Change,
  diffImages,
  type FileFact,
  type ImageDiff,
  type ImageView,
  isPackageDatabase,
  layerDecryptor,
  readContents,
  resolveImage,
} from '@vouchsafe/image'
import { findSigstoreSignatures } from '@vouchsafe/image/verifying'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { printable } from '../../printable.ts'
import { collect, type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, platformOption, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { IMAGE_WORDS } from './image-address.ts'
import { type KeyOptions, readHolders, withKeyOptions } from './layer-keys.ts'
import { type KnownSigner, signaturesInRegistry, signersOf } from './registry-signatures.ts'
import { inRegistry } from './signing-options.ts'

interface Options extends RegistryOptions, KeyOptions {
  readonly json?: boolean
  readonly platform?: string
  readonly key: readonly string[]
  readonly signer: readonly string[]
  readonly settingsOnly?: boolean
}

const SHOWN = 200

/** `vouchsafe image diff`: what changed, for people who approve. */
export function diffVerb(done: Done): Command {
  return withKeyOptions(withRegistryOptions(verb('diff', 'what changed from one image to another')))
    .argument('<before>', IMAGE_WORDS)
    .argument('<after>', 'likewise')
    .option('--platform <platform>', 'of an index (default: linux/amd64)')
    .option('--settings-only', 'do not read the layers: files and packages are not compared')
    .option('--key <key>', 'for encrypted layers, as in image decrypt; repeatable', collect, [])
    .option(
      '--signer <file>',
      'public key of somebody who may have signed, to compare signatures; repeatable',
      collect,
      [],
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image diff registry.example/app:v1 registry.example/app:v2\n' +
        '  $ vouchsafe image diff registry.example/app:v1 registry.example/app:v2 --signer ann.pub --signer ben.pub',
    )
    .action(async (before: string, after: string, options: Options) => {
      const platform = platformOption(options.platform ?? 'linux/amd64')
      const holders = await readHolders(options.key, options)
      const signers = signersOf(options.signer)
      const view = async (opened: OpenImage): Promise<ImageView> => {
        const { source, digest } = opened
        const image = await resolveImage(source, digest, { platform })
        const signatures = await signaturesOf(opened, signers)
        const signed = signatures === undefined ? {} : { signatures }
        if (options.settingsOnly === true) return { image, ...signed }
        const decryptor = holders.length === 0 ? {} : { decryptor: layerDecryptor(holders) }
        const contents = await readContents(source, image, { capture: isPackageDatabase, ...decryptor })
        return { image, contents, ...signed }
      }
      const diff = diffImages(await withImage(before, options, view), await withImage(after, options, view))
      const isSame = diff.same && (diff.signatures ?? []).length === 0
      outputOf(options).answer(diff, isSame ? `the same: ${diff.after}` : toLines(diff).map(printable).join('\n'))
      done(isSame ? EXIT.yes : EXIT.no)
    })
}

/** What each signer signed or stated, checked by their keys. `undefined` where nobody was named, or no registry is asked. */
async function signaturesOf(
  opened: OpenImage,
  signers: readonly KnownSigner[],
): Promise<ReadonlyMap<string, string> | undefined> {
  const image = signers.length === 0 ? undefined : await inRegistry(opened)
  if (image === undefined) return undefined
  const found = await findSigstoreSignatures(image.client.reader(image.asked), opened.digest)
  const bySigner = new Map<string, Set<string>>()
  for (const { who, says, why } of await signaturesInRegistry(image, found, signers, undefined))
    if (who !== null && why === null) bySigner.set(who, (bySigner.get(who) ?? new Set()).add(says))
  return new Map([...bySigner].map(([who, says]) => [who, [...says].sort().join(', ')]))
}

function toLines(diff: ImageDiff): readonly string[] {
  const { layers, files, packages, signatures } = diff
  const fileLines = (files?.changes ?? []).slice(0, SHOWN).map(({ path, before, after, what }) => {
    const sign = before === undefined ? '+' : after === undefined ? '-' : '~'
    const notes = [...what, ...powersOf(after)]
    return `file         ${sign} ${path}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`
  })
  const more = (files?.total ?? 0) - fileLines.length
  return [
    `before       ${diff.before}`,
    `after        ${diff.after}`,
    ...changes('setting', diff.settings),
    ...changes('environment', diff.environment),
    ...changes('label', diff.labels),
    ...(signatures === undefined
      ? ['signatures   not compared: name signers (--signer), and both images in a registry']
      : changes('signature', signatures)),
    `layers       ${layers.kept} kept, ${layers.removed.length} removed, ${layers.added.length} added, ${layers.repacked} stored otherwise`,
    ...(packages === undefined ? ['packages     not compared'] : changes('package', packages)),
    ...(files === undefined ? ['files        not compared'] : fileLines),
    ...(more > 0 ? [`files        ${more} more, with --json`] : []),
  ]
}

/** What a reader must not overlook in a file that is new or other: whoever runs it may gain something by it. */
function powersOf(file: FileFact | undefined): readonly string[] {
  if (file === undefined) return []
  return [
    ...(file.kind === 'special' ? [file.content] : []),
    ...(file.kind === 'file' && (file.mode & 0o6000) !== 0 ? [`mode ${file.mode.toString(8)}`] : []),
    ...Object.keys(file.attributes ?? {}),
  ]
}

function changes(kind: string, list: readonly Change<string>[]): readonly string[] {
  return list.map(
    ({ name, before, after }) => `${kind.padEnd(12)} ${name}: ${before ?? '(not there)'} -> ${after ?? '(not there)'}`,
  )
}
