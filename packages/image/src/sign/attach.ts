import { ImageError } from '../errors.ts'
import { type Descriptor, descriptorJson, sortedRecord } from '../oci/descriptor.ts'
import { type Content, type Digest, digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import type { RegistryClient } from '../registry/client.ts'
import type { Endpoint } from '../registry/endpoint.ts'
import { putManifest } from '../registry/referrers.ts'
import { uploadBlob } from '../registry/upload.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { BUNDLE_TYPE } from '../signature/bundle-type.ts'
import { readTagged, signatureTag } from '../signature/find-signatures.ts'
import { type CosignSignature, SIMPLE_SIGNING } from '../signature/stored-signature.ts'

const EMPTY_CONFIG = new TextEncoder().encode('{}')
const ATTEMPTS = 3

/**
 * Adds a cosign signature under the tag `sha256-….sig`. What others put there stays; the same signature is not added
 * twice. Two writers at a time are noticed by looking again.
 *
 * @returns Digest of the manifest that lies under the tag now.
 * @throws {ImageError} `registry.*`; `registry.unavailable` when the registry does not keep it.
 */
export async function attachCosign(
  client: RegistryClient,
  name: RepositoryName,
  digest: Digest,
  signature: CosignSignature,
): Promise<Digest> {
  return attachUnderTag(client, name, signatureTag(digest), {
    mediaType: SIMPLE_SIGNING,
    bytes: signature.payload,
    annotations: signature.annotations,
  })
}

/** Adds an attestation (a DSSE envelope) under the tag `sha256-….att`, as cosign before version 3 does: as `attachCosign`. */
export async function attachEnvelope(
  client: RegistryClient,
  name: RepositoryName,
  digest: Digest,
  envelope: Uint8Array,
  predicateType: string,
): Promise<Digest> {
  return attachUnderTag(client, name, signatureTag(digest, 'att'), {
    mediaType: 'application/vnd.dsse.envelope.v1+json',
    bytes: envelope,
    annotations: new Map([
      ['dev.cosignproject.cosign/signature', ''],
      ['predicateType', predicateType],
    ]),
  })
}

/**
 * Attaches a bundle as a referrer of the image (OCI 1.1), by the fallback tag where a registry lacks the API.
 *
 * @returns Digest of the manifest that refers.
 * @throws {ImageError} `registry.*`
 */
export async function attachBundle(
  client: RegistryClient,
  name: RepositoryName,
  subject: Descriptor,
  bundle: Uint8Array,
  predicateType: string,
  at: Date,
): Promise<Digest> {
  const endpoint = client.endpoint(name)
  const layer = await putBlob(endpoint, bundle)
  const config = await putBlob(endpoint, EMPTY_CONFIG)
  const annotations = new Map([
    ['dev.sigstore.bundle.content', 'dsse-envelope'],
    ['dev.sigstore.bundle.predicateType', predicateType],
    ['org.opencontainers.image.created', at.toISOString().replace(/\.\d+Z$/, 'Z')],
  ])
  const bytes = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: BUNDLE_TYPE,
      config: { mediaType: MEDIA.empty, ...config },
      layers: [{ mediaType: BUNDLE_TYPE, ...layer }],
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
      annotations: sortedRecord(annotations),
    }),
  )
  return putManifest(endpoint, { bytes, mediaType: MEDIA.manifest })
}

interface TaggedLayer {
  readonly mediaType: string
  readonly bytes: Uint8Array
  readonly annotations: ReadonlyMap<string, string>
}

async function attachUnderTag(
  client: RegistryClient,
  name: RepositoryName,
  tag: string,
  layer: TaggedLayer,
): Promise<Digest> {
  const endpoint = client.endpoint(name)
  const content = await putBlob(endpoint, layer.bytes)
  const descriptor: Descriptor = { ...content, mediaType: layer.mediaType, annotations: layer.annotations }
  for (let attempt = 0; ; attempt++) {
    const found = await readTagged(client.reader(name), tag)
    const there = found?.layers ?? []
    if (found !== undefined && there.some((known) => sameLayer(known, descriptor))) return found.digest
    if (attempt === ATTEMPTS)
      throw new ImageError('registry.unavailable', `${name.registry}: ${tag} does not keep our entry`)
    const layers = [...there, descriptor]
    const config = await putBlob(endpoint, artifactConfig(layers))
    await putManifest(endpoint, { bytes: manifestOf(layers, config), mediaType: MEDIA.manifest }, { tag })
  }
}

/** Other tools want an image's configuration here, with one diff id a layer. */
function artifactConfig(layers: readonly Descriptor[]): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({
      architecture: '',
      created: '0001-01-01T00:00:00Z',
      history: layers.map(() => ({ created: '0001-01-01T00:00:00Z' })),
      os: '',
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
      config: {},
    }),
  )
}

function manifestOf(layers: readonly Descriptor[], config: Content): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...config },
      layers: layers.map(descriptorJson),
    }),
  )
}

function sameLayer(a: Descriptor, b: Descriptor): boolean {
  return JSON.stringify(descriptorJson(a)) === JSON.stringify(descriptorJson(b))
}

async function putBlob(endpoint: Endpoint, bytes: Uint8Array): Promise<Content> {
  const content = { digest: digestOf(bytes), size: bytes.length }
  await uploadBlob(endpoint, {
    content,
    open: async function* (offset) {
      yield bytes.subarray(offset)
    },
  })
  return content
}
