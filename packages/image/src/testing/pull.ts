import { afterEach } from 'vitest'
import { ImageLayout } from '../layout/layout.ts'
import type { ImageSource } from '../oci/chain.ts'
import type { Digest } from '../oci/digest.ts'
import { parseReference } from '../oci/reference.ts'
import type { PullPolicy, PullRequest } from '../pull/pull-image.ts'
import { SnapshotStore } from '../pull/store.ts'
import { HARDENED } from '../unpack/profile.ts'
import { rawTar, type RawEntry } from './archive.ts'
import { type RawLayer, scratchSpace, writeRawImage } from './image.ts'

export const fresh = scratchSpace('pull')
const stores: SnapshotStore[] = []
afterEach(() => stores.splice(0).forEach((store) => store.close()))
export function openStore(directory = fresh(), profile = HARDENED): SnapshotStore {
  const store = SnapshotStore.open(directory, profile)
  stores.push(store)
  return store
}
export const accept: PullPolicy = () => Promise.resolve({ kind: 'accept' })
export const asked = parseReference('registry.example/app:v1')
export async function image(layers: readonly (readonly RawEntry[] | RawLayer)[]) {
  const directory = fresh()
  const { digest, layerDigests } = writeRawImage(
    directory,
    layers.map((layer) => ('tar' in layer ? layer : { tar: rawTar(layer) })),
  )
  return { directory, digest, layerDigests, source: await ImageLayout.open(directory) }
}
export const request = (source: ImageSource, digest: Digest, more: Partial<PullRequest> = {}): PullRequest => ({
  source,
  asked,
  digest,
  policy: accept,
  ...more,
})

/** A source that counts, and hides that it is local. */
export function counting(inner: ImageSource, onBlob: (digest: Digest) => void = () => undefined): ImageSource {
  return {
    readManifest: (digest, maxBytes) => inner.readManifest(digest, maxBytes),
    openBlob: (blob, use) => {
      onBlob(blob.digest)
      return inner.openBlob(blob, use)
    },
  }
}
