import { ImageError } from '../errors.ts'
import type { LayoutWriter } from '../layout/write-layout.ts'
import type { ImageSource } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Content, type Digest, digestAlgorithm, Digester, verifiedWhileRead } from '../oci/digest.ts'
import { layerForm } from '../oci/media-types.ts'
import { decompressLayer } from '../unpack/decompress.ts'
import { DEFAULT_UNPACK_LIMITS } from '../unpack/limits.ts'
import { assertPlain, otherAnnotations, plainMediaType } from './annotations.ts'
import { layerDecryptor } from './layer-decryptor.ts'
import type { KeyHolder } from './recipients.ts'
import { rewriteImage } from './rewrite-image.ts'

export interface DecryptRequest {
  readonly source: ImageSource
  readonly digest: Digest
  readonly holders: readonly KeyHolder[]
  readonly name?: string
  readonly onLayer?: (layer: DecryptedLayerReport) => void
}

export interface DecryptedLayerReport {
  readonly number: number
  readonly before: Digest
  readonly after: Digest
  readonly size: number
  readonly outcome: 'decrypted' | 'plain'
}

/**
 * Writes a decrypted copy of an image into a layout. A plain blob gets its name only after HMAC and digest held: on any
 * error its bytes, which were written to a private place, are removed.
 *
 * @throws {ImageError} `encryption.*`, `digest.mismatch`.
 */
export async function decryptImage(
  request: DecryptRequest,
  writer: LayoutWriter,
): Promise<{
  readonly digest: Digest
  readonly descriptor: Descriptor
  readonly layers: readonly DecryptedLayerReport[]
}> {
  const reports: DecryptedLayerReport[] = []
  const descriptor = await rewriteImage(request.source, request.digest, writer, {
    name: request.name,
    layer: async (layer, number) => {
      const encrypted = layerForm(layer.mediaType)?.encrypted === true
      const after = encrypted ? await decryptOne(request, layer, writer) : layer
      if (!encrypted) {
        assertPlain(layer)
        await writer.copyBlob(layer, (blob) => request.source.openBlob(blob))
      }
      const outcome: DecryptedLayerReport['outcome'] = encrypted ? 'decrypted' : 'plain'
      const line = { number, before: layer.digest, after: after.digest, size: after.size, outcome }
      reports.push(line)
      request.onLayer?.(line)
      return after
    },
  })
  return { digest: descriptor.digest, descriptor, layers: reports }
}

async function decryptOne(request: DecryptRequest, layer: Descriptor, writer: LayoutWriter): Promise<Descriptor> {
  const { plainDigest, plainSize, decrypt } = await layerDecryptor(request.holders).open(layer)
  const decrypted = () => {
    const stored = request.source.openBlob(layer, { transient: true })
    return decrypt(verifiedWhileRead(stored, layer, `layer ${layer.digest}`))
  }
  let authentic = false
  async function* noting() {
    yield* decrypted()
    authentic = true
  }
  const made = (plain: Content): Descriptor => ({
    mediaType: plainMediaType(layer.mediaType),
    ...plain,
    annotations: otherAnnotations(layer),
  })
  const plain = { digest: plainDigest, size: plainSize }
  try {
    return made(await writer.putStream(noting(), plain))
  } catch (cause) {
    if (!authentic || !(cause instanceof ImageError) || cause.code !== 'digest.mismatch') throw cause
    const whole = await contentByArchive(layer, plainDigest, decrypted())
    if (whole !== undefined) return made(await writer.putStream(decrypted(), whole))
    throw new ImageError(
      'encryption.mismatch',
      `layer ${layer.digest}: decrypts to other bytes than its private options promise: ${cause.message}`,
      { cause },
    )
  }
}

/**
 * The plain blob's content, where the archive in it is what was promised: buildah, podman and skopeo encrypt what they
 * compress on the way, and promise what it was before.
 */
async function contentByArchive(
  { mediaType }: Descriptor,
  promised: Digest,
  blob: AsyncIterable<Uint8Array>,
): Promise<Content | undefined> {
  const compression = layerForm(mediaType)?.compression ?? 'none'
  if (compression === 'none') return undefined
  const stored = new Digester()
  const archive = new Digester(digestAlgorithm(promised))
  async function* hashed() {
    for await (const chunk of blob) {
      stored.update(chunk)
      yield chunk
    }
  }
  try {
    for await (const chunk of decompressLayer(hashed(), compression, DEFAULT_UNPACK_LIMITS)) archive.update(chunk)
  } catch (error) {
    if (error instanceof ImageError && error.code.startsWith('compression.')) return undefined
    throw error
  }
  return archive.digest() === promised ? { digest: stored.digest(), size: stored.size } : undefined
}
