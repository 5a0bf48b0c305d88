import { ImageError } from '../errors.ts'
import { type Content, type Digest, parseDigest } from '../oci/digest.ts'
import { repositoryScope } from './authorize.ts'
import { type Endpoint, StatusError } from './endpoint.ts'
import type { HttpResponse } from './http.ts'
import type { UploadOptions } from './upload.ts'

/** An upload that the registry has begun. */
export interface Session {
  readonly location: URL
  /** First byte that the registry does not have. */
  readonly offset: number
  readonly chunkBytes: number
}

const CHUNK_BYTES = 16 * 1024 * 1024
/** Failures in a row without a byte of progress. */
export const MAX_FAILURES = 4

/** What registries answer to a kind of request that they do not know. Never 401 and 403: those are about who asks. */
const FORM_REFUSALS: ReadonlySet<number> = new Set([400, 404, 405, 406, 411, 415, 416, 422, 501])

/** True where another form of the same upload may be taken. */
export function refusesForm(error: unknown): error is StatusError {
  return error instanceof StatusError && FORM_REFUSALS.has(error.status)
}

/**
 * Asks for an upload, or for the blob out of another repository; a registry that does not know the latter gets the
 * former.
 *
 * @returns `undefined` when the registry has mounted the blob.
 */
export async function begin(
  endpoint: Endpoint,
  content: Content,
  options: UploadOptions,
): Promise<Session | undefined> {
  const { mountFrom } = options
  if (mountFrom === undefined) return beginPlainly(endpoint, options)
  const query = new URLSearchParams({ mount: content.digest, from: mountFrom })
  try {
    const response = await post(endpoint, `?${query.toString()}`, [mountFrom], [201, 202], options)
    return response.status === 201 ? undefined : sessionOf(endpoint, response, options)
  } catch (error) {
    if (!refusesForm(error)) throw error
    return beginPlainly(endpoint, options)
  }
}

export async function beginPlainly(endpoint: Endpoint, options: UploadOptions): Promise<Session> {
  return sessionOf(endpoint, await post(endpoint, '', [], [202], options), options)
}

async function post(
  endpoint: Endpoint,
  query: string,
  pullFrom: readonly string[],
  accept: readonly number[],
  { signal }: UploadOptions,
): Promise<HttpResponse> {
  const response = await endpoint.sendWithRetries({
    method: 'POST',
    to: endpoint.path(`blobs/uploads/${query}`),
    scopes: [
      repositoryScope(endpoint.name.path, 'pull', 'push'),
      ...pullFrom.map((path) => repositoryScope(path, 'pull')),
    ],
    accept,
    signal,
  })
  response.discard()
  return response
}

function sessionOf(endpoint: Endpoint, response: HttpResponse, options: UploadOptions): Session {
  const minimum = Number(response.header('oci-chunk-min-length') ?? 0)
  const chunkBytes = Math.max(
    options.chunkBytes ?? CHUNK_BYTES,
    Number.isSafeInteger(minimum) ? Math.min(minimum, 2 ** 30) : 0,
  )
  return { location: locationOf(endpoint, response), offset: 0, chunkBytes }
}

export async function isPresent(endpoint: Endpoint, content: Content, options: UploadOptions): Promise<boolean> {
  const response = await endpoint.sendWithRetries({
    method: 'HEAD',
    to: endpoint.path(`blobs/${content.digest}`),
    scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
    accept: [200, 404],
    followContentRedirects: true,
    signal: options.signal,
  })
  response.discard()
  return response.status === 200
}

export function locationOf(endpoint: Endpoint, response: HttpResponse): URL {
  const location = response.header('location')
  if (location === undefined)
    throw new ImageError('registry.protocol', `${endpoint.name.registry}: an upload without Location`)
  return endpoint.resolve(location)
}

/** Where an upload ends, as the content that it is. */
export function finalUrl({ location }: Session, { digest }: Content): URL {
  const url = new URL(location)
  url.searchParams.set('digest', digest)
  return url
}

/** A registry that says it stored something else is not believed to have stored ours. */
export function checkStatedDigest(response: HttpResponse, digest: Digest, what: string): void {
  const stated = response.header('docker-content-digest')
  if (stated !== undefined && parseDigest(stated, what) !== digest)
    throw new ImageError('digest.mismatch', `${what}: stored as ${stated}, sent as ${digest}`)
}
