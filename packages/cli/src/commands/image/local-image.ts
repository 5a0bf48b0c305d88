import { statSync } from 'node:fs'
import {
  type Descriptor,
  type Digest,
  DockerArchive,
  ImageError,
  ImageLayout,
  type ImageSource,
} from '@vouchsafe/image'
import { UsageError, withHint } from '../../output.ts'
import type { LocalAddress } from './image-address.ts'

/** Opens a layout or an archive, and finds the image in it that is meant. */
export async function openLocal(
  address: LocalAddress,
): Promise<{ readonly source: ImageSource; readonly digest: Digest }> {
  try {
    if (address.kind === 'docker-archive') return await openSaved(address)
    const { kind, place } = address
    const layout = await (kind === 'oci' ? ImageLayout.open(place) : ImageLayout.openArchive(place))
    return { source: layout, digest: digestIn(layout, address) }
  } catch (error) {
    const hint = otherWord(error, address)
    throw hint === undefined ? error : withHint(error, hint)
  }
}

async function openSaved(address: LocalAddress) {
  const { place, name, digest } = address
  const source = await DockerArchive.open(place)
  if (digest !== undefined) return { source, digest }
  if (name !== undefined) return { source, digest: source.find(name) }
  const words = source.images.map((image) => `docker-archive:${place}${atName(image.names[0], image.digest)}`)
  return {
    source,
    digest: onlyOne(
      place,
      source.images.map((image) => image.digest),
      words,
    ),
  }
}

function digestIn(layout: ImageLayout, { kind, place, name, digest }: LocalAddress): Digest {
  if (digest !== undefined) return digest
  if (name !== undefined) return layout.find(name).digest
  const { manifests } = layout.index
  const words = manifests.map((entry) => `${kind}:${place}${atName(tagOf(entry), entry.digest)}`)
  return onlyOne(
    place,
    manifests.map((entry) => entry.digest),
    words,
  )
}

function onlyOne(place: string, digests: readonly Digest[], words: readonly string[]): Digest {
  const [only, second] = new Set(digests)
  if (only !== undefined && second === undefined) return only
  throw new UsageError(
    `${place} holds ${new Set(digests).size} images`,
    words.length === 0 ? 'it is empty' : `name one: ${words.join(', ')}`,
  )
}

function tagOf(entry: Descriptor): string | undefined {
  return entry.annotations.get('org.opencontainers.image.ref.name')
}

function atName(name: string | undefined, digest: Digest): string {
  return name === undefined ? `@${digest}` : `:${name}`
}

/** What the place is written as, where it is there and is something else. */
function otherWord(error: unknown, { kind, place }: LocalAddress): string | undefined {
  if (!(error instanceof ImageError)) return undefined
  const found = statSync(place, { throwIfNoEntry: false })
  if (kind !== 'oci' && found?.isDirectory() === true) return `a layout in a directory is written oci:${place}`
  if (error.code !== 'layout.missing') return undefined
  if (kind === 'oci' && found?.isFile() === true)
    return `an archive is written oci-archive:${place}, or docker-archive:${place} if docker saved it`
  if (kind === 'oci-archive' && error.message.includes('no oci-layout'))
    return `if docker saved it: docker-archive:${place}`
  if (kind === 'docker-archive' && error.message.includes('manifest.json'))
    return `it may be a layout: oci-archive:${place}`
  return undefined
}
