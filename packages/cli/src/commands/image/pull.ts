import { readFileSync } from 'node:fs'
import {
  FAITHFUL,
  HARDENED,
  layerDecryptor,
  parseReference,
  type PullPolicy,
  type PullProgress,
  type PullRequest,
  pullToDirectory,
  pullToStore,
  referenceText,
  SnapshotStore,
} from '@vouchsafe/image'
import { parsePolicy, pullPolicy, readMaterialFrom, readRegistriesD } from '@vouchsafe/image/verifying'
import type { Command } from 'commander'
import { Interruption } from '../../interruption.ts'
import { EXIT, UsageError } from '../../output.ts'
import { printable } from '../../printable.ts'
import { collect, type Done, outputOf, verb } from '../options.ts'
import { type OpenImage, platformOption, type RegistryOptions, withImage, withRegistryOptions } from './address.ts'
import { namedDigest, parseAddress } from './image-address.ts'
import { type KeyOptions, readHolders, withKeyOptions } from './layer-keys.ts'
import { bytesText, Progress } from './progress.ts'
import { storeDirectory } from './store.ts'

interface Options extends RegistryOptions, KeyOptions {
  readonly json?: boolean
  readonly to?: string
  readonly store?: string
  readonly key: readonly string[]
  readonly platform?: string
  readonly requireEncrypted?: boolean
  readonly faithful?: boolean
  readonly dangerouslyAcceptUnsigned?: boolean
  readonly policy?: string
  readonly registriesD?: string
}

/** `vouchsafe image pull`: accepted, decrypted, checked and unpacked, or not there at all. */
export function pullVerb(done: Done): Command {
  return withKeyOptions(withRegistryOptions(verb('pull', 'fetch, check, decrypt and unpack an image')))
    .argument('<image>', 'a registry reference or oci:DIR…; by digest, unless signatures are not asked for')
    .option('--store <dir>', 'local store to unpack into, layers shared (default: ~/.local/share/vouchsafe/images)')
    .option('--to <dir>', 'unpack into this directory instead, which must not exist')
    .option('--key <key>', 'for encrypted layers, as in image decrypt; repeatable', collect, [])
    .option('--require-encrypted', 'refuse an image with a plain layer')
    .option('--platform <platform>', 'of an index (default: linux/amd64)')
    .option('--faithful', 'keep setuid, capabilities and devices, which are dropped or refused otherwise')
    .option('--policy <file>', 'a policy.json: who must have signed; judged before any byte is used')
    .option('--registries-d <dir>', 'with --policy: where simple signatures lie, and whether tags are looked at')
    .option('--dangerously-accept-unsigned', 'take whatever the tag names now')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image pull registry.example/app:v1 --policy policy.json\n  $ vouchsafe image pull registry.example/app@sha256:… --to rootfs\n  $ vouchsafe image pull oci:sealed:v1@sha256:… --key kek:images/app/key=app.kek --require-encrypted',
    )
    .action(async (image: string, options: Options) => {
      if (options.to !== undefined && options.store !== undefined)
        throw new UsageError('both --to and --store', 'choose one: a plain directory, or the store')
      if (options.policy === undefined) assertDecided(image, options)
      const holders = await readHolders(options.key, options)
      const progress = new Progress(outputOf(options))
      using interruption = new Interruption()
      const { signal } = interruption
      await withImage(
        image,
        options,
        async (opened) => {
          const { source, asked } = opened
          const request: PullRequest = {
            source,
            signal,
            digest: opened.digest,
            asked: asked ?? parseReference(`localhost/layout@${opened.digest}`),
            policy: await policyFor(opened, options),
            onProgress: (step) => showProgress(progress, step),
            ...(holders.length === 0 ? {} : { decryptor: layerDecryptor(holders) }),
            ...(options.requireEncrypted === undefined ? {} : { requireEncrypted: options.requireEncrypted }),
            ...(options.platform === undefined ? {} : { platform: platformOption(options.platform) }),
          }
          try {
            await (options.to === undefined
              ? intoStore(request, options, opened)
              : intoDirectory(options.to, request, options, opened))
          } finally {
            progress.clear()
          }
        },
        signal,
      )
      done(EXIT.yes)
    })
}

/** Whoever writes a digest has decided on it. A tag says nothing of what it names now. */
function assertDecided(image: string, options: Options): void {
  if (namedDigest(parseAddress(image)) === undefined && options.dangerouslyAcceptUnsigned !== true)
    throw new UsageError(
      `${image} names no digest, so whoever keeps the registry would choose what it is`,
      'say who must have signed with --policy FILE, add @sha256:… (vouchsafe image show tells it), or say --dangerously-accept-unsigned',
    )
}

async function policyFor({ client }: OpenImage, options: Options): Promise<PullPolicy> {
  if (options.policy === undefined) return () => Promise.resolve({ kind: 'accept' })
  if (client === undefined)
    throw new UsageError(
      'a local layout carries no signatures',
      'name the image in its registry, or leave out --policy',
    )
  const registries = options.registriesD === undefined ? {} : { registries: await readRegistriesD(options.registriesD) }
  return pullPolicy({
    policy: parsePolicy(new Uint8Array(readFileSync(options.policy)), options.policy),
    client,
    material: readMaterialFrom({}),
    at: () => new Date(),
    ...registries,
  })
}

async function intoStore(request: PullRequest, options: Options, { digest, passedOver }: OpenImage): Promise<void> {
  const profile = options.faithful === true ? FAITHFUL : HARDENED
  const directory = storeDirectory(options.store)
  const store = SnapshotStore.open(directory, profile)
  try {
    const report = await pullToStore(store, profile, request)
    const { stored, lowerDirs, reusedLayers, repaired, dropped } = report
    outputOf(options).answer(
      {
        requested: digest,
        image: stored.manifestDigest,
        store: directory,
        lowerDirs,
        reusedLayers,
        repaired,
        dropped,
        passedOver,
      },
      [
        stored.manifestDigest,
        `${lowerDirs.length} layers in ${directory}, ${reusedLayers} of them were there`,
        ...repaired.map(({ chainId, difference }) => `repaired ${chainId}: ${printable(difference)}`),
        ...dropped.map((drop) => `left out: ${JSON.stringify(drop)}`),
      ].join('\n'),
    )
  } finally {
    store.close()
  }
}

async function intoDirectory(
  directory: string,
  request: PullRequest,
  options: Options,
  { passedOver }: OpenImage,
): Promise<void> {
  const profile = options.faithful === true ? FAITHFUL : HARDENED
  const { image, entries, bytes, dropped, droppedCount } = await pullToDirectory(directory, { ...request, profile })
  outputOf(options).answer(
    {
      image: image.manifestDigest,
      asked: referenceText(request.asked),
      directory,
      entries,
      bytes,
      dropped,
      droppedCount,
      passedOver,
    },
    `${image.manifestDigest}\n${entries} entries, ${bytesText(bytes)} in ${directory}${droppedCount === 0 ? '' : `, ${droppedCount} left out`}`,
  )
}

function showProgress(progress: Progress, { phase, layer, layers, bytes, size }: PullProgress): void {
  progress.show(`${phase} ${layer + 1}/${layers}`, bytes, size)
}
