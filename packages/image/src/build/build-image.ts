import { ImageError } from '../errors.ts'
import { type ImageSource, resolveImage, type ResolvedImage } from '../oci/chain.ts'
import { type Descriptor, descriptorJson } from '../oci/descriptor.ts'
import { type Digest, Digester } from '../oci/digest.ts'
import { MAX_CONFIG_BYTES, member, parseJsonObject } from '../oci/json.ts'
import { type Compression, MEDIA, ociLayerType } from '../oci/media-types.ts'
import type { Platform } from '../oci/platform.ts'
import { LayoutWriter, putDocument } from '../layout/write-layout.ts'
import { type BuildConfig, executionJson, mergeConfig } from './build-config.ts'
import { compress } from './compress.ts'
import { type LayerSource, layerTar } from './layer-source.ts'
import { loadsCode } from './launch-labels.ts'

export interface BuildRequest {
  /** Lowest first, on top of the base's. */
  readonly layers: readonly LayerSource[]
  readonly config: BuildConfig
  /** By digest only (CS-15): a tag would make the result depend on the day. */
  readonly base?: { readonly source: ImageSource; readonly digest: Digest }
  /** `linux/amd64` unless told, never that of the building machine. The base must be made for it. */
  readonly platform?: Platform
  /**
   * `none` unless told: then the digest depends on content alone. With `gzip` and `zstd` it also depends on the
   * compressor inside Node, so two builders need the same Node version to agree.
   */
  readonly compression?: Compression
  /** The one time in the image, seconds since 1970; 0 unless told. */
  readonly createdSeconds?: number
  /** Tag in the layout's index.json. */
  readonly name?: string
  /** Ends the build, of which nothing is listed then: `aborted`. */
  readonly signal?: AbortSignal
  /** Called as a layer is read, by its position among the new ones: bytes of its archive so far. */
  readonly onBytes?: (position: number, bytes: number) => void
}

/** What came out, by digest: the same request gives the same, wherever it is built. */
export interface BuiltImage {
  readonly digest: Digest
  readonly manifest: Descriptor
  readonly config: Descriptor
  readonly layers: readonly BuiltLayer[]
  /** What a reviewer should look at: sentences, empty when there is nothing. */
  readonly warnings: readonly string[]
}

export interface BuiltLayer {
  readonly descriptor: Descriptor
  readonly diffId: Digest
}

const LAYER_TYPE = { none: MEDIA.layer, gzip: MEDIA.layerGzip, zstd: MEDIA.layerZstd } as const

/**
 * Builds an image into a layout directory, bit for bit the same wherever and whenever it is built (CS-03, H23):
 * entries sorted, owners 0:0, one time, normal modes, no machine names, no clock.
 *
 * @throws {ImageError} `build.input`, and what reading the base throws.
 */
export async function buildImage(request: BuildRequest, outLayout: string): Promise<BuiltImage> {
  const createdSeconds = request.createdSeconds ?? 0
  if (!Number.isSafeInteger(createdSeconds) || createdSeconds < 0 || createdSeconds > 253_402_300_799)
    throw new ImageError('build.input', 'createdSeconds is not a time between 1970 and 9999')
  const platform = request.platform ?? { os: 'linux', architecture: 'amd64' }
  const base = await openBase(request.base, platform)
  const execution = mergeConfig(request.config, base?.config.execution)
  const writer = await LayoutWriter.open(outLayout, request.signal)
  const layers: BuiltLayer[] = []
  if (base !== undefined)
    for (const layer of base.layers) {
      if (layer.form.encrypted)
        throw new ImageError('build.input', `base layer ${layer.descriptor.digest} is encrypted`)
      await writer.copyBlob(layer.descriptor, (blob) => base.source.openBlob(blob))
      const mediaType = ociLayerType(layer.descriptor.mediaType)
      layers.push({ descriptor: { ...layer.descriptor, mediaType }, diffId: layer.diffId })
    }
  for (const [position, source] of request.layers.entries()) {
    const onBytes = (bytes: number) => request.onBytes?.(position, bytes)
    layers.push(await buildLayer(writer, source, request.compression ?? 'none', createdSeconds, onBytes))
  }
  const created = new Date(createdSeconds * 1000).toISOString().replace('.000Z', 'Z')
  const config = await putDocument(writer, MEDIA.config, {
    created,
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    config: executionJson(execution),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: [...baseHistory(base), ...request.layers.map(() => ({ created, created_by: 'vouchsafe image build' }))],
  })
  const manifest = await putDocument(writer, MEDIA.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: descriptorJson(config),
    layers: layers.map((layer) => descriptorJson(layer.descriptor)),
    ...(base === undefined ? {} : { annotations: { 'org.opencontainers.image.base.digest': base.requested } }),
  })
  await writer.addToIndex({ ...manifest, platform }, request.name)
  return { digest: manifest.digest, manifest, config, layers, warnings: warnings(execution.labels) }
}

async function openBase(base: BuildRequest['base'], platform: Platform) {
  if (base === undefined) return undefined
  return { source: base.source, ...(await resolveImage(base.source, base.digest, { platform })) }
}

async function buildLayer(
  writer: LayoutWriter,
  source: LayerSource,
  compression: Compression,
  mtimeSeconds: number,
  onBytes: (bytes: number) => void,
): Promise<BuiltLayer> {
  const diff = new Digester()
  let bytes = 0
  async function* hashed() {
    for await (const chunk of layerTar(source, mtimeSeconds)) {
      diff.update(chunk)
      bytes += chunk.length
      onBytes(bytes)
      yield chunk
    }
  }
  const content = await writer.putStream(compress(hashed(), compression))
  const mediaType = LAYER_TYPE[compression]
  return { descriptor: { mediaType, ...content, annotations: new Map() }, diffId: diff.digest() }
}

function baseHistory(base: ResolvedImage | undefined): readonly unknown[] {
  if (base === undefined) return []
  const history = member(parseJsonObject(base.configBytes, 'base configuration', MAX_CONFIG_BYTES), 'history')
  // tools compare its length with the layers': without one, every base layer gets an empty entry
  return Array.isArray(history) ? history : base.layers.map(() => ({}))
}

function warnings(labels: ReadonlyMap<string, string>): readonly string[] {
  const names = labels.get('tee.launch_policy.allow_env_override')?.split(',') ?? []
  return names
    .map((name) => name.trim())
    .filter(loadsCode)
    .map((name) => `label allow_env_override lets the operator set ${name}, which can run code or move connections`)
}
