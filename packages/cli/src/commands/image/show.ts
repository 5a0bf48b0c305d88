import {
  COCO_PROVIDER,
  type Descriptor,
  guestKeyResources,
  ImageError,
  type HistoryStep,
  type ImageIndex,
  isPackageDatabase,
  listPackages,
  parseHistory,
  platformText,
  readContents,
  readEncryptedLayer,
  type ResolvedImage,
  resolveImage,
} from '@vouchsafe/image'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { printable } from '../../printable.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { platformOption, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { IMAGE_WORDS } from './image-address.ts'
import { bytesText } from './progress.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly platform?: string
  readonly packages?: boolean
}

/** `vouchsafe image show`: what an image says of itself, checked by digest. */
export function showVerb(done: Done): Command {
  return withRegistryOptions(verb('show', 'what an image is: digest, start, environment, labels, layers'))
    .alias('inspect')
    .argument('<image>', IMAGE_WORDS)
    .option('--platform <platform>', 'of an index (default: linux/amd64)')
    .option('--packages', 'read the layers too, and list Debian, Alpine and npm packages')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image show oci:build:v1\n  $ vouchsafe image show registry.example/app:v1 --packages',
    )
    .action(async (text: string, options: Options) => {
      const platform = platformOption(options.platform ?? 'linux/amd64')
      await withImage(text, options, async ({ source, digest }) => {
        const image = await resolveImage(source, digest, { platform })
        const packages =
          options.packages === true
            ? listPackages((await readContents(source, image, { capture: isPackageDatabase })).captured)
            : undefined
        const answer = { ...describe(image), ...(packages === undefined ? {} : { packages }) }
        const lines = [
          ...toLines(image),
          ...(packages ?? []).map((p) => `package     ${p.system} ${p.name} ${p.version}`),
        ]
        outputOf(options).answer(answer, lines.map(printable).join('\n'))
      })
      done(EXIT.yes)
    })
}

function describe(image: ResolvedImage) {
  const { execution, platform, created } = image.config
  return {
    requested: image.requested,
    manifest: image.manifestDigest,
    config: image.configDigest,
    platform: platformText(platform),
    ...(image.index === undefined ? {} : { platforms: platformsOf(image.index.document) }),
    ...(created === undefined ? {} : { created }),
    entrypoint: execution.entrypoint,
    args: execution.args,
    env: execution.env,
    user: execution.user,
    workingDir: execution.workingDir,
    ports: execution.exposedPorts,
    volumes: execution.volumes,
    ...(execution.stopSignal === undefined ? {} : { stopSignal: execution.stopSignal }),
    labels: Object.fromEntries(execution.labels),
    layers: image.layers.map(({ descriptor, diffId, form }) => ({
      digest: descriptor.digest,
      size: descriptor.size,
      mediaType: descriptor.mediaType,
      encrypted: form.encrypted,
      ...(form.encrypted ? { recipients: recipientsOf(descriptor) } : {}),
      diffId,
    })),
    size: sizeOf(image),
    history: historyOf(image),
  }
}

function toLines(image: ResolvedImage): readonly string[] {
  const { execution, platform, created } = image.config
  return [
    ...(image.index === undefined
      ? []
      : [`index       ${image.requested}`, `            of ${platformsOf(image.index.document).join(', ')}`]),
    `manifest    ${image.manifestDigest}`,
    `config      ${image.configDigest}`,
    `platform    ${platformText(platform)}`,
    ...(created === undefined ? [] : [`created     ${created}`]),
    `entrypoint  ${JSON.stringify(execution.entrypoint)}`,
    `args        ${JSON.stringify(execution.args)}`,
    `user        ${execution.user === '' ? 'root' : execution.user}`,
    `workdir     ${execution.workingDir === '' ? '/' : execution.workingDir}`,
    ...execution.env.map((entry) => `env         ${entry}`),
    ...[...execution.labels].map(([name, value]) => `label       ${name}=${value}`),
    ...execution.exposedPorts.map((port) => `port        ${port}`),
    ...execution.volumes.map((volume) => `volume      ${volume}`),
    ...(execution.stopSignal === undefined ? [] : [`stop        ${execution.stopSignal}`]),
    ...historyOf(image).map((step) => `history     ${stepText(step)}`),
    ...image.layers.map(
      ({ descriptor, form }, i) =>
        `${`layer ${i}`.padEnd(11)} ${descriptor.digest} ${bytesText(descriptor.size)} ${form.compression}${form.encrypted ? `, encrypted for ${recipientsOf(descriptor).join(', ')}` : ''}`,
    ),
    `size        ${bytesText(sizeOf(image))} in ${image.layers.length} layers, as stored`,
  ]
}

function sizeOf({ layers }: ResolvedImage): number {
  return layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0)
}

function historyOf({ configBytes, configDigest }: ResolvedImage): readonly HistoryStep[] {
  return parseHistory(configBytes, `configuration ${configDigest}`)
}

function stepText({ created, createdBy, comment, emptyLayer }: HistoryStep): string {
  return [created, createdBy ?? comment ?? '(no command)', ...(emptyLayer ? ['(settings only)'] : [])]
    .filter((part) => part !== undefined)
    .join('  ')
}

/** What an index offers. Attestations, which BuildKit lists there, are of no platform. */
function platformsOf({ manifests }: ImageIndex): readonly string[] {
  const named = manifests.map(({ platform }) => (platform === undefined ? 'no platform' : platformText(platform)))
  return [...new Set(named.filter((name) => name !== 'unknown/unknown'))]
}

/** For whom a layer is encrypted, as its annotations say: nothing of that is authenticated. */
function recipientsOf(layer: Descriptor): readonly string[] {
  try {
    const guests = guestKeyResources(layer)
    return [...readEncryptedLayer(layer).packets.keys()].map((scheme) =>
      scheme === `provider.${COCO_PROVIDER}` && guests.length > 0 ? `guests with ${guests.join(', ')}` : scheme,
    )
  } catch (error) {
    if (error instanceof ImageError) return [`nobody (${error.code})`]
    throw error
  }
}
