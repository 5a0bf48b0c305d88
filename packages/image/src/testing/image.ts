import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'
import type { ImageSource } from '../oci/chain.ts'
import type { Digest } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest

/** A fresh path on each call, all removed after the tests of the file. */
export function scratchSpace(name: string): () => string {
  const root = mkdtempSync(path.join(tmpdir(), `vouchsafe-${name}-`))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  let count = 0
  return () => path.join(root, `d${count++}`)
}

export interface RawLayer {
  /** The uncompressed archive: its digest becomes the diffID. */
  readonly tar: Uint8Array
  /** What is stored; the archive itself unless told. */
  readonly blob?: Uint8Array
  readonly mediaType?: string
  readonly diffId?: string
}

/** Writes a layout by hand, so that it can lie. */
export function writeRawImage(
  directory: string,
  layers: readonly RawLayer[],
  options: { readonly config?: object; readonly name?: string } = {},
): { readonly digest: Digest; readonly layerDigests: readonly Digest[] } {
  mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true })
  const put = (bytes: Uint8Array) => {
    const digest = sha256(bytes)
    writeFileSync(path.join(directory, 'blobs/sha256', digest.slice(7)), bytes)
    return { digest, size: bytes.length }
  }
  const json = (value: unknown) => put(Buffer.from(JSON.stringify(value)))
  const stored = layers.map((layer) => ({ mediaType: layer.mediaType ?? MEDIA.layer, ...put(layer.blob ?? layer.tar) }))
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/true'], ...options.config },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId ?? sha256(layer.tar)) },
  })
  const manifest = json({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...config },
    layers: stored,
  })
  const annotations = { 'org.opencontainers.image.ref.name': options.name ?? 'v1' }
  const index = { schemaVersion: 2, manifests: [{ mediaType: MEDIA.manifest, ...manifest, annotations }] }
  writeFileSync(path.join(directory, 'index.json'), JSON.stringify(index))
  writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return { digest: manifest.digest, layerDigests: stored.map((layer) => layer.digest) }
}

/** A source that hands out three bytes at a time, all of a blob in the same memory where its reader allows that. */
export function inSameMemory(inner: ImageSource, onTransient: (digest: Digest) => void): ImageSource {
  return {
    readManifest: (digest, maxBytes) => inner.readManifest(digest, maxBytes),
    isLocal: true,
    async *openBlob(blob, use) {
      if (use?.transient !== true) return yield* inner.openBlob(blob)
      onTransient(blob.digest)
      const memory = new Uint8Array(3)
      for await (const chunk of inner.openBlob(blob))
        for (let at = 0; at < chunk.length; at += memory.length) {
          const part = chunk.subarray(at, at + memory.length)
          memory.set(part)
          yield memory.subarray(0, part.length)
        }
    },
  }
}
