import { homedir } from 'node:os'
import path from 'node:path'
import {
  type Digest,
  parseDigest,
  parseManifest,
  parseReference,
  referenceText,
  SnapshotStore,
  type StoredImage,
} from '@vouchsafe/image'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { table } from '../../table.ts'
import { bytesText } from './progress.ts'

interface Options {
  readonly json?: boolean
  readonly store?: string
}

/** `vouchsafe image list`: what was pulled. */
export function listVerb(done: Done): Command {
  return withStore(verb('list', 'images in the local store'))
    .addHelpText('after', '\nExample:\n  $ vouchsafe image list')
    .action((options: Options) => {
      const images = inStore(options, (store) => store.list())
      outputOf(options).answer(
        { images: images.map(toJson) },
        images.length === 0
          ? 'no images'
          : table(
              images.map((image) => [
                image.manifestDigest,
                `${image.chain.length} layers`,
                bytesText(sizeOf(image)),
                image.references.join(', '),
              ]),
            ),
      )
      done(EXIT.yes)
    })
}

/** `vouchsafe image remove`: forget an image, and the layers that no other needs. */
export function removeVerb(done: Done): Command {
  return withStore(verb('remove', 'remove an image from the local store'))
    .argument('<image>', 'its digest, the start of it, or a reference it was pulled by')
    .addHelpText('after', '\nExample:\n  $ vouchsafe image remove sha256:6f4a')
    .action((wanted: string, options: Options) => {
      const removed = inStore(options, (store) => {
        // a whole digest needs no look at the others: one of them may be damaged
        const digest = /^sha256:[0-9a-f]{64}$/.test(wanted) ? parseDigest(wanted) : findStored(store.list(), wanted)
        store.remove(digest)
        return digest
      })
      outputOf(options).answer({ removed }, `${removed} is removed`)
      done(EXIT.yes)
    })
}

function withStore(command: Command): Command {
  return command.option('--store <dir>', 'the local store (default: ~/.local/share/vouchsafe/images)')
}

function inStore<T>(options: Options, use: (store: SnapshotStore) => T): T {
  const store = SnapshotStore.open(storeDirectory(options.store))
  try {
    return use(store)
  } finally {
    store.close()
  }
}

/** @throws {UsageError} unless exactly one image fits. */
function findStored(images: readonly StoredImage[], wanted: string): Digest {
  const name = wanted.startsWith('sha256:') ? undefined : referenceText(parseReference(wanted))
  const fitting = images.filter(({ manifestDigest, references }) =>
    name === undefined ? manifestDigest.startsWith(wanted) : references.includes(name),
  )
  const [found] = fitting
  if (found === undefined || fitting.length > 1)
    throw new UsageError(`${fitting.length} images fit ${wanted}`, 'vouchsafe image list tells what there is')
  return parseDigest(found.manifestDigest)
}

function toJson(image: StoredImage) {
  const { manifestDigest, references, chain, configDigest } = image
  return { image: manifestDigest, references, config: configDigest, layers: chain.length, size: sizeOf(image) }
}

/** Its layers as they are fetched, the same as `image show` tells: unpacked they take more, and images share them. */
function sizeOf({ manifest, manifestDigest }: StoredImage): number {
  const bytes = new Uint8Array(Buffer.from(manifest, 'base64'))
  const { mediaType = 'application/vnd.oci.image.manifest.v1+json' } = JSON.parse(Buffer.from(bytes).toString()) as {
    readonly mediaType?: string
  }
  return parseManifest(bytes, mediaType, `manifest ${manifestDigest}`).layers.reduce((sum, { size }) => sum + size, 0)
}

/** Where pulled images are kept, unless told. */
export function storeDirectory(given: string | undefined): string {
  return given ?? path.join(process.env['XDG_DATA_HOME'] ?? path.join(homedir(), '.local/share'), 'vouchsafe/images')
}
