import {
  type Change,
  diffImages,
  type ImageDiff,
  isPackageDatabase,
  layerDecryptor,
  readContents,
  resolveImage,
} from '@vouchsafe/image'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, platformOption, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { collect, withKeyOptions } from './encrypt.ts'
import { type KeyOptions, readHolders } from './layer-keys.ts'

interface Options extends RegistryOptions, KeyOptions {
  readonly json?: boolean
  readonly platform?: string
  readonly key: readonly string[]
  readonly settingsOnly?: boolean
}

const SHOWN = 200

/** `vouchsafe image diff`: what changed, for people who approve. */
export function diffVerb(done: Done): Command {
  return withKeyOptions(withRegistryOptions(verb('diff', 'what changed from one image to another')))
    .argument('<before>', 'oci:DIR[:TAG], oci:DIR@sha256:…, or a registry reference')
    .argument('<after>', 'likewise')
    .option('--platform <platform>', 'of an index (default: linux/amd64)')
    .option('--settings-only', 'do not read the layers: files and packages are not compared')
    .option('--key <key>', 'for encrypted layers, as in image decrypt; repeatable', collect, [])
    .addHelpText('after', '\nExample:\n  $ vouchsafe image diff registry.example/app:v1 registry.example/app:v2')
    .action(async (before: string, after: string, options: Options) => {
      const platform = platformOption(options.platform ?? 'linux/amd64')
      const holders = await readHolders(options.key, options)
      const view = async ({ source, digest }: OpenImage) => {
        const image = await resolveImage(source, digest, { platform })
        if (options.settingsOnly === true) return { image }
        const decryptor = holders.length === 0 ? {} : { decryptor: layerDecryptor(holders) }
        return { image, contents: await readContents(source, image, { capture: isPackageDatabase, ...decryptor }) }
      }
      const diff = diffImages(await withImage(before, options, view), await withImage(after, options, view))
      outputOf(options).answer(diff, diff.same ? `the same: ${diff.after}` : toLines(diff).join('\n'))
      done(diff.same ? EXIT.yes : EXIT.no)
    })
}

function toLines(diff: ImageDiff): readonly string[] {
  const { layers, files, packages } = diff
  const fileLines = (files?.changes ?? []).slice(0, SHOWN).map(({ path, before, after, what }) => {
    const sign = before === undefined ? '+' : after === undefined ? '-' : '~'
    return `file         ${sign} ${path}${what.length === 0 ? '' : ` (${what.join(', ')})`}`
  })
  const more = (files?.total ?? 0) - fileLines.length
  return [
    `before       ${diff.before}`,
    `after        ${diff.after}`,
    ...changes('setting', diff.settings),
    ...changes('environment', diff.environment),
    ...changes('label', diff.labels),
    `layers       ${layers.kept} kept, ${layers.removed.length} removed, ${layers.added.length} added, ${layers.repacked} stored otherwise`,
    ...(packages === undefined ? ['packages     not compared'] : changes('package', packages)),
    ...(files === undefined ? ['files        not compared'] : fileLines),
    ...(more > 0 ? [`files        ${more} more, with --json`] : []),
  ]
}

function changes(kind: string, list: readonly Change<string>[]): readonly string[] {
  return list.map(
    ({ name, before, after }) => `${kind.padEnd(12)} ${name}: ${before ?? '(not there)'} -> ${after ?? '(not there)'}`,
  )
}
