import { ImageError } from '../errors.ts'
import type { BlobUse, ImageSource } from '../oci/chain.ts'
import { asMediaType } from '../oci/descriptor.ts'
import { assertContent, type Content, type Digest, digestAlgorithm, digestOf, parseDigest } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/json.ts'
import { INDEX_TYPES, MANIFEST_TYPES } from '../oci/media-types.ts'
import { assertTag } from '../oci/reference.ts'
import { repositoryScope } from './authorize.ts'
import type { Endpoint } from './endpoint.ts'
import type { HttpResponse } from './http.ts'
import { isPassing } from './retry.ts'

export interface FetchedManifest {
  readonly digest: Digest
  readonly mediaType: string
  /** Exactly what the registry sent; `digest` was computed from these. */
  readonly bytes: Uint8Array
}

/** A mirror that failed, or sent something else than was asked for, and what it was about. Another was asked then. */
export interface PassedOver {
  /** Host and path. */
  readonly mirror: string
  readonly what: string
  readonly reason: ImageError
}

/** A few bytes for each connection are progress too, and would go on for ever: on average there must be more. */
const LEAST_BYTES = 64 * 1024
const FREE_CONNECTIONS = 20

export const MANIFEST_ACCEPT = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ')

/**
 * Reading from one repository. By digest the mirrors are asked first; a tag only where its registry says so.
 *
 * @source OCI distribution specification, pull
 */
export class RepositoryReader implements ImageSource {
  /** The registry itself; uploads and tags are its matter. */
  readonly home: Endpoint
  readonly #mirrors: readonly Endpoint[]
  readonly #signal: AbortSignal | undefined
  readonly #onPassedOver: (passed: PassedOver) => void

  constructor(
    home: Endpoint,
    mirrors: readonly Endpoint[],
    signal?: AbortSignal,
    onPassedOver: (passed: PassedOver) => void = () => undefined,
  ) {
    this.home = home
    this.#mirrors = mirrors
    this.#signal = signal
    this.#onPassedOver = onPassedOver
  }

  /** What a tag means now. Ask once, go on by digest (H01): the next answer may be another. */
  async readTag(tag: string): Promise<FetchedManifest> {
    assertTag(tag)
    return this.#manifest(this.home, tag)
  }

  async readManifest(digest: Digest, maxBytes: number): Promise<FetchedManifest> {
    return this.#firstThatHas(`manifest ${digest}`, async (endpoint) => {
      const fetched = await this.#manifest(endpoint, digest, maxBytes)
      assertContent(
        fetched.bytes,
        { digest, size: fetched.bytes.length },
        `manifest ${digest} from ${endpoint.name.registry}`,
      )
      return { ...fetched, digest }
    })
  }

  /** The blob's bytes, not verified. A connection that breaks is taken up again where it broke. */
  async *openBlob(blob: Content, { offset = 0 }: BlobUse = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const progress = { bytes: offset }
    const endpoints = [...this.#mirrors, this.home]
    for (const [i, endpoint] of endpoints.entries()) {
      try {
        yield* this.#stream(endpoint, blob, progress)
        return
      } catch (error) {
        if (i === endpoints.length - 1 || !canAskAnother(error)) throw error
        this.#passOver(endpoint, `blob ${blob.digest}`, error)
      }
    }
  }

  async hasBlob(blob: Content): Promise<boolean> {
    const response = await this.home.sendWithRetries({
      method: 'HEAD',
      to: this.home.path(`blobs/${blob.digest}`),
      scopes: [repositoryScope(this.home.name.path, 'pull')],
      accept: [200, 404],
      followContentRedirects: true,
      signal: this.#signal,
    })
    response.discard()
    return response.status === 200
  }

  async #manifest(endpoint: Endpoint, reference: string, maxBytes = MAX_MANIFEST_BYTES): Promise<FetchedManifest> {
    const what = `manifest ${reference} from ${endpoint.name.registry}`
    const { response, bytes } = await endpoint.readWithRetries(
      {
        method: 'GET',
        to: endpoint.path(`manifests/${reference}`),
        scopes: [repositoryScope(endpoint.name.path, 'pull')],
        accept: [200],
        headers: { accept: MANIFEST_ACCEPT },
        signal: this.#signal,
      },
      maxBytes,
      what,
    )
    const mediaType = asMediaType(response.header('content-type')?.split(';')[0]?.trim(), `${what}: Content-Type`)
    const stated = response.header('docker-content-digest')
    const claimed = stated === undefined ? undefined : parseDigest(stated, `${what}: Docker-Content-Digest`)
    const digest = digestOf(bytes, claimed === undefined ? 'sha256' : digestAlgorithm(claimed))
    if (claimed !== undefined && claimed !== digest)
      throw new ImageError('digest.mismatch', `${what}: content is ${digest}, the registry calls it ${claimed}`)
    return { digest, mediaType, bytes }
  }

  async #firstThatHas<T>(what: string, ask: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    for (const mirror of this.#mirrors)
      try {
        return await ask(mirror)
      } catch (error) {
        if (!canAskAnother(error)) throw error
        this.#passOver(mirror, what, error)
      }
    return ask(this.home)
  }

  /** Told of whatever is wrong. That a mirror lacks something is not: few hold everything. */
  #passOver({ name }: Endpoint, what: string, reason: ImageError): void {
    if (reason.code !== 'registry.not-found')
      this.#onPassedOver({ mirror: `${name.registry}/${name.path}`, what, reason })
  }

  async *#stream(
    endpoint: Endpoint,
    blob: Content,
    progress: { bytes: number },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for (let failures = 0, connections = 1; progress.bytes < blob.size || blob.size === 0; connections++) {
      const before = progress.bytes
      if (connections > FREE_CONNECTIONS + blob.size / LEAST_BYTES)
        throw new ImageError(
          'registry.unavailable',
          `blob ${blob.digest} from ${endpoint.name.registry}: ${before} of ${blob.size} bytes after ${connections - 1} connections`,
        )
      try {
        const response = await this.#openAt(endpoint, blob, before)
        let skip = response.status === 200 ? before : 0
        for await (const chunk of response.body) {
          const fresh = chunk.subarray(Math.min(skip, chunk.length))
          skip -= chunk.length - fresh.length
          progress.bytes += fresh.length
          if (progress.bytes > blob.size)
            throw new ImageError(
              'digest.mismatch',
              `blob ${blob.digest} from ${endpoint.name.registry}: longer than ${blob.size} bytes`,
            )
          if (fresh.length > 0) yield fresh
        }
        if (blob.size === 0) return
        if (progress.bytes < blob.size)
          throw new ImageError(
            'registry.unavailable',
            `blob ${blob.digest}: ended after ${progress.bytes} of ${blob.size} bytes`,
          )
      } catch (error) {
        if (!isPassing(error)) throw error
        failures = progress.bytes > before && error.code !== 'registry.slow' ? 0 : failures + 1
        // requests that never got an answer were repeated already; this counts connections that gave no byte, or too few
        if (failures >= 2) throw error
      }
    }
  }

  async #openAt(endpoint: Endpoint, blob: Content, offset: number): Promise<HttpResponse> {
    const response = await endpoint.sendWithRetries({
      method: 'GET',
      to: endpoint.path(`blobs/${blob.digest}`),
      scopes: [repositoryScope(endpoint.name.path, 'pull')],
      accept: offset === 0 ? [200] : [200, 206],
      headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
      followContentRedirects: true,
      signal: this.#signal,
    })
    if (response.status === 206 && !response.header('content-range')?.startsWith(`bytes ${offset}-`)) {
      response.discard()
      throw new ImageError(
        'registry.protocol',
        `blob ${blob.digest}: asked from byte ${offset}, got ${response.header('content-range') ?? 'no Content-Range'}`,
      )
    }
    return response
  }
}

/**
 * A mirror that lacks something, sends another manifest than the one asked for, or is down is passed over; the caller
 * ending the work is final. Bytes of a blob are handed on as they come, so whether they are right is for the reader.
 */
function canAskAnother(error: unknown): error is ImageError {
  return error instanceof ImageError && error.code !== 'aborted'
}
