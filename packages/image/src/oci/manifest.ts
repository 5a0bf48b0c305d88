import { ImageError } from '../errors.ts'
import { asMediaType, type Descriptor, parseAnnotations, parseDescriptor } from './descriptor.ts'
import { asArray, isReadAs, type JsonObject, MAX_MANIFEST_BYTES, member, optional, parseJsonObject } from './json.ts'
import { CONFIG_TYPES, INDEX_TYPES, MANIFEST_TYPES } from './media-types.ts'

const MAX_LAYERS = 512
const MAX_MANIFESTS = 1024

/** An image of one platform, or an artifact: see `isImage`. Layers lowest first, at most 512. */
export interface ImageManifest {
  readonly kind: 'manifest'
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations: ReadonlyMap<string, string>
  readonly artifactType?: string
  readonly subject?: Descriptor
}

/** Manifests to choose from, at most 1024. */
export interface ImageIndex {
  readonly kind: 'index'
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations: ReadonlyMap<string, string>
  readonly artifactType?: string
  readonly subject?: Descriptor
}

/**
 * Reads a manifest or an index whose bytes were verified against a digest already.
 *
 * What it is, is said by the descriptor or the Content-Type (`mediaType`), never guessed: a document that names
 * another type in its own `mediaType`, or has the members of both, is refused (CVE-2021-41190).
 *
 * @throws {ImageError} `chain.media-type`, `document.malformed`, `document.too-large`, `digest.*`.
 * @source OCI image specification, manifest and index; Docker image manifest version 2, schema 2
 */
export function parseManifestOrIndex(bytes: Uint8Array, mediaType: string, what: string): ImageManifest | ImageIndex {
  const object = parseJsonObject(bytes, what, MAX_MANIFEST_BYTES)
  if (member(object, 'schemaVersion', what) !== 2)
    throw new ImageError('document.malformed', `${what}: schemaVersion is not 2`)
  const own = optional(object, 'mediaType', what, asMediaType)
  if (own !== undefined && own !== mediaType)
    throw new ImageError('chain.media-type', `${what}: calls itself ${own}, was handed over as ${mediaType}`)
  if (own === undefined && mediaType.includes('vnd.docker.'))
    throw new ImageError('chain.media-type', `${what}: a Docker document must carry its mediaType`)
  if (INDEX_TYPES.has(mediaType)) return readIndex(object, mediaType, what)
  if (MANIFEST_TYPES.has(mediaType)) return readManifest(object, mediaType, what)
  throw new ImageError('chain.media-type', `${what}: ${mediaType} is neither a manifest nor an index`)
}

/** @throws {ImageError} as `parseManifestOrIndex`, and `chain.media-type` when it is an index. */
export function parseManifest(bytes: Uint8Array, mediaType: string, what: string): ImageManifest {
  const document = parseManifestOrIndex(bytes, mediaType, what)
  if (document.kind === 'manifest') return document
  throw new ImageError('chain.media-type', `${what}: an index where a manifest was wanted`)
}

function readManifest(object: JsonObject, mediaType: string, what: string): ImageManifest {
  refuseMembers(object, ['manifests', 'fsLayers', 'history', 'signatures'], what, 'manifest')
  const config = parseDescriptor(member(object, 'config', what), `${what}.config`)
  const layers = asArray(member(object, 'layers', what), `${what}.layers`, MAX_LAYERS)
  return {
    kind: 'manifest',
    mediaType,
    config,
    layers: layers.map((layer, i) => parseDescriptor(layer, `${what}.layers[${i}]`)),
    ...readCommon(object, what),
  }
}

function readIndex(object: JsonObject, mediaType: string, what: string): ImageIndex {
  refuseMembers(object, ['config', 'layers', 'fsLayers', 'history', 'signatures'], what, 'index')
  const listed = member(object, 'manifests', what)
  // Go writes an empty list so: umoci, of a layout that it has just made
  const manifests = listed === null ? [] : asArray(listed, `${what}.manifests`, MAX_MANIFESTS)
  return {
    kind: 'index',
    mediaType,
    manifests: manifests.map((entry, i) => parseDescriptor(entry, `${what}.manifests[${i}]`)),
    ...readCommon(object, what),
  }
}

function readCommon(object: JsonObject, what: string) {
  const artifactType = optional(object, 'artifactType', what, asMediaType)
  const subject = optional(object, 'subject', what, parseDescriptor)
  return {
    annotations: parseAnnotations(object, what),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
  }
}

function refuseMembers(object: JsonObject, names: readonly string[], what: string, kind: string): void {
  const odd = Object.keys(object).find((key) => names.some((name) => isReadAs(key, name)))
  if (odd !== undefined)
    throw new ImageError(
      'chain.media-type',
      `${what}: a ${kind} with the member ${JSON.stringify(odd)} could be read as something else`,
    )
}

/** True where the manifest describes a runnable image, not an attached artifact. */
export function isImage(manifest: ImageManifest): boolean {
  return CONFIG_TYPES.has(manifest.config.mediaType)
}
