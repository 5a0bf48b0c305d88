import { type Digest, digestOf } from '../oci/digest.ts'
import type { ReadableLayer } from '../unpack/open-layer.ts'

/**
 * Names the tree that each layer gives on top of those below it. Two images with the same lower layers share their
 * snapshots; the same layer on another base is another snapshot, since what it means depends on what is below.
 *
 * A layer that came encrypted counts together with its key. Otherwise an image that only names the public diffID of
 * somebody's encrypted layer, or encrypts nothing under a key of its own, would be served the decrypted files (GU-16).
 *
 * @source OCI image specification, config: layer ChainID (equal to it for images without encryption)
 */
export function snapshotIds(layers: readonly ReadableLayer[]): readonly Digest[] {
  const chain: Digest[] = []
  for (const { layer, keyThumbprint } of layers) {
    const below = chain.at(-1)
    if (below === undefined && keyThumbprint === undefined) chain.push(layer.diffId)
    else {
      const parts = [below ?? 'none', layer.diffId, ...(keyThumbprint === undefined ? [] : [`key ${keyThumbprint}`])]
      chain.push(digestOf(new TextEncoder().encode(parts.join(' '))))
    }
  }
  return chain
}
