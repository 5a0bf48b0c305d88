import { ImageError } from '../errors.ts'
import { type Descriptor, descriptorJson, sortedRecord } from '../oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex, digestOf } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/json.ts'
import { type ImageIndex, type ImageManifest, parseManifestOrIndex } from '../oci/manifest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { repositoryScope } from './authorize.ts'
import type { Endpoint } from './endpoint.ts'
import { nextPage } from './next-page.ts'
import { checkStatedDigest } from './upload-session.ts'

const MAX_REFERRERS = 1000
const MAX_PAGES = 20
const FALLBACK_ATTEMPTS = 3
/** A registry with the API answers an empty list; those without it say one of these. */
const WITHOUT_API: readonly number[] = [400, 404, 406]

/**
 * What is attached to a digest (CS-10): by the referrers API, or where a registry lacks it, by the tag that stands in
 * for it. The list is what the registry says: nothing in it is authenticated, and something may be missing from it.
 *
 * @param artifactType - Only these.
 * @source OCI distribution specification, listing referrers; backwards compatibility
 */
export async function listReferrers(
  endpoint: Endpoint,
  digest: Digest,
  options: { readonly artifactType?: string; readonly signal?: AbortSignal } = {},
): Promise<readonly Descriptor[]> {
  const { artifactType } = options
  const listed =
    (await byApi(endpoint, digest, options)) ?? (await readFallback(endpoint, digest, options.signal))?.manifests ?? []
  return artifactType === undefined ? listed : listed.filter((entry) => entry.artifactType === artifactType)
}

/** The tag that lists referrers where there is no API: `sha256-<hex>`. Of a longer digest 64 digits: a tag has 128 characters. */
export function fallbackTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`
}

/** Puts a manifest under a tag or its digest; one with a subject also into the subject's fallback list, if need be. */
export async function putManifest(
  endpoint: Endpoint,
  manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
  options: { readonly tag?: string; readonly signal?: AbortSignal } = {},
): Promise<Digest> {
  const document = parseManifestOrIndex(manifest.bytes, manifest.mediaType, 'manifest to push')
  const digest = digestOf(manifest.bytes)
  const response = await endpoint.sendWithRetries({
    method: 'PUT',
    to: endpoint.path(`manifests/${options.tag ?? digest}`),
    scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
    accept: [201],
    headers: { 'content-type': manifest.mediaType },
    body: () => manifest.bytes,
    signal: options.signal,
  })
  response.discard()
  checkStatedDigest(response, digest, `manifest on ${endpoint.name.registry}`)
  if (document.subject !== undefined && response.header('oci-subject') === undefined)
    await addToFallback(
      endpoint,
      document.subject.digest,
      referrerDescriptor(document, manifest, digest),
      options.signal,
    )
  return digest
}

async function byApi(
  endpoint: Endpoint,
  digest: Digest,
  options: { readonly artifactType?: string; readonly signal?: AbortSignal },
): Promise<readonly Descriptor[] | undefined> {
  const query =
    options.artifactType === undefined
      ? ''
      : `?${new URLSearchParams({ artifactType: options.artifactType }).toString()}`
  const found: Descriptor[] = []
  let next: URL | undefined = endpoint.resolve(endpoint.path(`referrers/${digest}${query}`))
  for (let page = 0; next !== undefined; page++) {
    if (page >= MAX_PAGES)
      throw new ImageError('registry.protocol', `referrers of ${digest}: more than ${MAX_PAGES} pages`)
    const { response, bytes } = await endpoint.readWithRetries(
      {
        method: 'GET',
        to: next,
        scopes: [repositoryScope(endpoint.name.path, 'pull')],
        accept: [200, ...WITHOUT_API],
        headers: { accept: MEDIA.index },
        signal: options.signal,
      },
      MAX_MANIFEST_BYTES,
      'referrers',
    )
    if (response.status !== 200 || !(response.header('content-type') ?? '').startsWith(MEDIA.index)) {
      if (page === 0) return undefined
      throw new ImageError('registry.protocol', `referrers of ${digest}: page ${page + 1} is missing`)
    }
    found.push(...asIndex(bytes, `referrers of ${digest}`).manifests)
    if (found.length > MAX_REFERRERS)
      throw new ImageError('registry.protocol', `referrers of ${digest}: more than ${MAX_REFERRERS}`)
    next = nextPage(endpoint, next, response)
  }
  return found
}

async function readFallback(
  endpoint: Endpoint,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<ImageIndex | undefined> {
  const { response, bytes } = await endpoint.readWithRetries(
    {
      method: 'GET',
      to: endpoint.path(`manifests/${fallbackTag(digest)}`),
      scopes: [repositoryScope(endpoint.name.path, 'pull')],
      accept: [200, 404],
      headers: { accept: MEDIA.index },
      signal,
    },
    MAX_MANIFEST_BYTES,
    'referrers',
  )
  return response.status === 404 ? undefined : asIndex(bytes, `fallback list of ${digest}`)
}

/**
 * Read, add, write, look again. A registry offers no way to write only what nobody changed, so a writer who read before
 * us and writes after our last look still takes our entry away: what two attach at once may need attaching again.
 */
async function addToFallback(
  endpoint: Endpoint,
  subject: Digest,
  entry: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < FALLBACK_ATTEMPTS; attempt++) {
    const before = (await readFallback(endpoint, subject, signal))?.manifests ?? []
    if (before.some((known) => known.digest === entry.digest)) return
    const bytes = new TextEncoder().encode(
      JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [...before, entry].map(descriptorJson) }),
    )
    const response = await endpoint.sendWithRetries({
      method: 'PUT',
      to: endpoint.path(`manifests/${fallbackTag(subject)}`),
      scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
      accept: [201],
      headers: { 'content-type': MEDIA.index },
      body: () => bytes,
      signal,
    })
    response.discard()
  }
  const after = (await readFallback(endpoint, subject, signal))?.manifests ?? []
  if (!after.some((known) => known.digest === entry.digest))
    throw new ImageError(
      'registry.unavailable',
      `${endpoint.name.registry}: the list of what refers to ${subject} does not keep our entry`,
    )
}

function referrerDescriptor(
  document: ImageManifest | ImageIndex,
  manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
  digest: Digest,
): Descriptor {
  const artifactType = document.artifactType ?? (document.kind === 'manifest' ? document.config.mediaType : undefined)
  return {
    mediaType: manifest.mediaType,
    digest,
    size: manifest.bytes.length,
    annotations: new Map(Object.entries(sortedRecord(document.annotations))),
    ...(artifactType === undefined ? {} : { artifactType }),
  }
}

function asIndex(bytes: Uint8Array, what: string): ImageIndex {
  const document = parseManifestOrIndex(bytes, MEDIA.index, what)
  if (document.kind === 'index') return document
  throw new ImageError('registry.protocol', `${what}: not an index`)
}
