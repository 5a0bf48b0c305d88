import { ImageError } from '../errors.ts'
import type { LayoutWriter } from '../layout/write-layout.ts'
import type { ImageSource } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, verifiedWhileRead } from '../oci/digest.ts'
import { layerForm } from '../oci/media-types.ts'
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
  const plain = { digest: plainDigest, size: plainSize }
  let authentic = false
  async function* decrypted() {
    const stored = request.source.openBlob(layer, { transient: true })
    yield* decrypt(verifiedWhileRead(stored, layer, `layer ${layer.digest}`))
    authentic = true
  }
  try {
    await writer.putStream(decrypted(), plain)
  } catch (cause) {
    if (!authentic || !(cause instanceof ImageError) || cause.code !== 'digest.mismatch') throw cause
    throw new ImageError(
      'encryption.mismatch',
      `layer ${layer.digest}: decrypts to other bytes than its private options promise: ${cause.message}`,
      { cause },
    )
  }
  return { mediaType: plainMediaType(layer.mediaType), ...plain, annotations: otherAnnotations(layer) }
}
