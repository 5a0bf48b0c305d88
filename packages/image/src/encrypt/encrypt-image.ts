import { ImageError } from '../errors.ts'
import type { LayoutWriter } from '../layout/write-layout.ts'
import { fetchDocument, type ImageSource } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, verifiedWhileRead } from '../oci/digest.ts'
import { type ImageManifest, isImage } from '../oci/manifest.ts'
import { layerForm } from '../oci/media-types.ts'
import type { LayerDecryptor } from '../unpack/open-layer.ts'
import {
  assertPlain,
  encryptedMediaType,
  keyAnnotations,
  otherAnnotations,
  PUBLIC_OPTIONS,
  type SchemeName,
} from './annotations.ts'
import { encryptLayer } from './layer-cipher.ts'
import { type LayerSecrets, openedLayer, unwrapLayer } from './layer-decryptor.ts'
import { privateOptionsBytes, publicOptionsAnnotation, type PrivateOptions } from './options.ts'
import type { KeyHolder, Recipients } from './recipients.ts'
import { rewriteImage } from './rewrite-image.ts'

export interface EncryptRequest {
  readonly source: ImageSource
  readonly digest: Digest
  /** At least one, or nobody could ever read the image. */
  readonly recipients: readonly Recipients[]
  /**
   * Which layers, by position from 0; negative from the top. All unless told. One that stands at several positions is
   * chosen by any of them: left plain at another, it would hide nothing.
   */
  readonly layers?: readonly number[]
  /** Keys for layers that are encrypted already: the chosen ones get the new recipients beside the old ones. */
  readonly holders?: readonly KeyHolder[]
  /** Tag in the layout's index.json. */
  readonly name?: string
  readonly onLayer?: (layer: EncryptedLayerReport) => void
}

export interface EncryptedLayerReport {
  readonly number: number
  readonly before: Digest
  readonly after: Digest
  readonly size: number
  /** `encrypted` now, `extended` by recipients, or not chosen: `kept` as it was encrypted before, or `plain`. */
  readonly outcome: 'encrypted' | 'extended' | 'kept' | 'plain'
}

export interface EncryptedImage {
  /** Of the new image: what agreements and signatures must name from now on. */
  readonly digest: Digest
  readonly descriptor: Descriptor
  readonly layers: readonly EncryptedLayerReport[]
  /**
   * Entries of the index that are no images, such as the attestations that BuildKit puts beside them: they would show
   * what the layers hide, and speak of digests that the new index does not have.
   */
  readonly leftOut: readonly Digest[]
  /** Opens the layers by the keys that were made or used just now: for `rehearseDecryption`, where no recipient's key is at hand. */
  readonly decryptor: LayerDecryptor
}

/**
 * Writes an encrypted copy of an image into a layout (GU-11, GU-13, GU-36). Each layer gets a key of its own, wrapped for
 * every recipient. Names, configuration and layer count stay readable: only the layers' content is hidden.
 *
 * @throws {ImageError} `encryption.recipient` without recipients or when wrapping fails, and what reading throws.
 */
export async function encryptImage(request: EncryptRequest, writer: LayoutWriter): Promise<EncryptedImage> {
  if (request.recipients.length === 0)
    throw new ImageError('encryption.recipient', 'no recipient: nobody could decrypt the image')
  const reports: EncryptedLayerReport[] = []
  const opened = new Map<Digest, LayerSecrets>()
  const chosen = await chosenLayers(request)
  const leftOut: Digest[] = []
  const layer = async (layer: Descriptor, number: number): Promise<Descriptor> => {
    const report = (after: Descriptor, outcome: EncryptedLayerReport['outcome']) => {
      const line = { number, before: layer.digest, after: after.digest, size: after.size, outcome }
      reports.push(line)
      request.onLayer?.(line)
      return after
    }
    const form = layerForm(layer.mediaType)
    if (form?.encrypted !== true) assertPlain(layer)
    if (chosen !== undefined && !chosen.has(layer.digest)) {
      const encrypted = form?.encrypted === true
      if (encrypted) opened.set(layer.digest, await unwrapLayer(layer, request.holders ?? []))
      await writer.copyBlob(layer, (blob) => request.source.openBlob(blob))
      return report(layer, encrypted ? 'kept' : 'plain')
    }
    if (form?.encrypted === true) {
      const { descriptor: extended, secrets } = await addRecipients(layer, request.holders ?? [], request.recipients)
      opened.set(extended.digest, secrets)
      await writer.copyBlob(layer, (blob) => request.source.openBlob(blob))
      return report(extended, 'extended')
    }
    const { descriptor: made, secrets } = await encryptOne(request, layer, writer)
    opened.set(made.digest, secrets)
    return report(made, 'encrypted')
  }
  const leavesOut = ({ digest }: Descriptor, manifest: ImageManifest): boolean => {
    const isAttached = !isImage(manifest) || !holdsFiles(manifest)
    if (isAttached) leftOut.push(digest)
    return isAttached
  }
  const { source, digest, name } = request
  const descriptor = await rewriteImage(source, digest, writer, { layer, leavesOut, name })
  const decryptor: LayerDecryptor = {
    open(layer) {
      const secrets = opened.get(layer.digest)
      if (secrets === undefined)
        return Promise.reject(new ImageError('encryption.no-key', `layer ${layer.digest} was not encrypted here`))
      return Promise.resolve(openedLayer(layer, secrets))
    },
  }
  return { digest: descriptor.digest, descriptor, layers: reports, leftOut, decryptor }
}

function holdsFiles({ layers }: ImageManifest): boolean {
  return layers.length === 0 || layers.some(({ mediaType }) => layerForm(mediaType) !== undefined)
}

interface MadeLayer {
  readonly descriptor: Descriptor
  readonly secrets: LayerSecrets
}

async function encryptOne(request: EncryptRequest, layer: Descriptor, writer: LayoutWriter): Promise<MadeLayer> {
  const mediaType = encryptedMediaType(layer.mediaType)
  const plain = verifiedWhileRead(request.source.openBlob(layer, { transient: true }), layer, `layer ${layer.digest}`)
  const encryption = encryptLayer(plain)
  const content = await writer.putStream(encryption.ciphertext)
  const { privateOptions, publicOptions } = encryption.finish()
  const packets = await wrapFor(request.recipients, privateOptions)
  const annotations = new Map([
    ...otherAnnotations(layer),
    ...keyAnnotations(packets),
    [PUBLIC_OPTIONS, publicOptionsAnnotation(publicOptions)] as const,
  ])
  return { descriptor: { mediaType, ...content, annotations }, secrets: { privateOptions, publicOptions } }
}

/**
 * The same layer, for more recipients: its private options are unwrapped and wrapped again; bytes and old packets stay.
 *
 * @throws {ImageError} as `unwrapLayer` does.
 */
async function addRecipients(
  layer: Descriptor,
  holders: readonly KeyHolder[],
  recipients: readonly Recipients[],
): Promise<MadeLayer> {
  const { privateOptions, publicOptions, packets } = await unwrapLayer(layer, holders)
  const all = new Map(packets)
  for (const [scheme, more] of await wrapFor(recipients, privateOptions))
    all.set(scheme, [...(all.get(scheme) ?? []), ...more])
  const annotations = new Map([...layer.annotations, ...keyAnnotations(all)])
  return { descriptor: { ...layer, annotations }, secrets: { privateOptions, publicOptions } }
}

async function wrapFor(
  recipients: readonly Recipients[],
  privateOptions: PrivateOptions,
): Promise<ReadonlyMap<SchemeName, readonly Uint8Array[]>> {
  const packets = new Map<SchemeName, readonly Uint8Array[]>()
  const bytes = privateOptionsBytes(privateOptions)
  for (const { scheme, wrap } of recipients)
    packets.set(scheme, [...(packets.get(scheme) ?? []), ...(await wrap(bytes))])
  bytes.fill(0)
  return packets
}

/** @returns `undefined` for all. */
async function chosenLayers({
  layers: wanted,
  source,
  digest,
}: EncryptRequest): Promise<ReadonlySet<Digest> | undefined> {
  if (wanted === undefined) return undefined
  const { document } = await fetchDocument(source, digest)
  if (document.kind === 'index')
    throw new ImageError('encryption.recipient', 'layers are chosen by number in one image, not in an index of several')
  if (wanted.length === 0) throw new ImageError('encryption.recipient', 'no layer was chosen')
  const { layers } = document
  return new Set(
    wanted.map((number) => {
      const layer = layers.at(number)
      if (layer !== undefined) return layer.digest
      throw new ImageError('encryption.recipient', `the image has ${layers.length} layers, and none number ${number}`)
    }),
  )
}
