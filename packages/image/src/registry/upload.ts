import { ImageError } from '../errors.ts'
import { type Content, type Digest, digestAlgorithm, Digester, parseDigest } from '../oci/digest.ts'
import { repositoryScope } from './authorize.ts'
import type { Endpoint } from './endpoint.ts'
import type { HttpResponse } from './http.ts'

/** Content that can be read again from any byte on: after a failure an upload goes on where the registry stopped. */
export interface UploadSource {
  readonly content: Content
  open(offset: number): AsyncIterable<Uint8Array>
}

export interface UploadOptions {
  /** Bytes of one PATCH request; 16 MiB unless told. The registry may demand more. */
  readonly chunkBytes?: number
  /** Another repository of the same registry that may have the blob: it is then not sent at all. */
  readonly mountFrom?: string
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (bytes: number) => void
}

export type UploadResult = 'present' | 'mounted' | 'uploaded'

/** A source whose bytes are hashed as they are sent, each the first time. */
interface Sending extends UploadSource {
  readonly sent: Digester
}

interface Session {
  readonly location: URL
  /** First byte that the registry does not have. */
  readonly offset: number
  readonly chunkBytes: number
}

const CHUNK_BYTES = 16 * 1024 * 1024
/** Failures in a row without a byte of progress. */
const MAX_FAILURES = 4

/**
 * Puts one blob into a repository: nothing when it is there, a mount when another repository has it, else chunk by
 * chunk, asking after each failure how far the registry got.
 *
 * @source OCI distribution specification, push: chunked upload, mounting
 */
export async function uploadBlob(
  endpoint: Endpoint,
  from: UploadSource,
  options: UploadOptions = {},
): Promise<UploadResult> {
  const { content } = from
  const source: Sending = {
    ...from,
    open: (offset) => from.open(offset),
    sent: new Digester(digestAlgorithm(content.digest)),
  }
  if (await isPresent(endpoint, content, options)) return 'present'
  let session = await begin(endpoint, content, options)
  if (session === undefined) return 'mounted'
  let compared = false
  for (let failures = 0; ;) {
    try {
      while (session.offset < content.size) {
        session = await sendChunk(endpoint, source, session, options)
        failures = 0
        options.onProgress?.(session.offset)
      }
      if (!compared) assertSent(source)
      compared = true
      await finish(endpoint, content, session, options)
      return 'uploaded'
    } catch (error) {
      if (!(error instanceof ImageError) || error.code !== 'registry.unavailable' || ++failures > MAX_FAILURES)
        throw error
      // the answer to the last request may have been lost, not the request
      if (await isPresent(endpoint, content, options)) return 'uploaded'
      session = (await askProgress(endpoint, session, options)) ?? (await restart(endpoint, content, options))
    }
  }
}

async function isPresent(endpoint: Endpoint, content: Content, options: UploadOptions): Promise<boolean> {
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

/** @returns `undefined` when the registry has mounted the blob. */
async function begin(endpoint: Endpoint, content: Content, options: UploadOptions): Promise<Session | undefined> {
  const { mountFrom, signal } = options
  const query =
    mountFrom === undefined ? '' : `?${new URLSearchParams({ mount: content.digest, from: mountFrom }).toString()}`
  const own = repositoryScope(endpoint.name.path, 'pull', 'push')
  const response = await endpoint.sendWithRetries({
    method: 'POST',
    to: endpoint.path(`blobs/uploads/${query}`),
    scopes: mountFrom === undefined ? [own] : [own, repositoryScope(mountFrom, 'pull')],
    accept: mountFrom === undefined ? [202] : [201, 202],
    signal,
  })
  response.discard()
  if (response.status === 201) return undefined
  const minimum = Number(response.header('oci-chunk-min-length') ?? 0)
  const chunkBytes = Math.max(
    options.chunkBytes ?? CHUNK_BYTES,
    Number.isSafeInteger(minimum) ? Math.min(minimum, 2 ** 30) : 0,
  )
  return { location: locationOf(endpoint, response), offset: 0, chunkBytes }
}

async function restart(endpoint: Endpoint, content: Content, options: UploadOptions): Promise<Session> {
  const { mountFrom: _, ...rest } = options
  const session = await begin(endpoint, content, rest)
  if (session === undefined)
    throw new ImageError('registry.protocol', `${endpoint.name.registry}: an upload answered like a mount`)
  return session
}

async function sendChunk(
  endpoint: Endpoint,
  source: Sending,
  session: Session,
  options: UploadOptions,
): Promise<Session> {
  const { offset, chunkBytes, location } = session
  const length = Math.min(chunkBytes, source.content.size - offset)
  const response = await endpoint.send({
    method: 'PATCH',
    to: location,
    scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
    // 416: the registry is at another byte than we think
    accept: [202, 416],
    headers: { 'content-type': 'application/octet-stream', 'content-range': `${offset}-${offset + length - 1}` },
    body: () => ({ stream: take(source, offset, length), contentLength: length }),
    signal: options.signal,
  })
  response.discard()
  if (response.status === 416)
    throw new ImageError('registry.unavailable', `${endpoint.name.registry}: upload is not at byte ${offset}`)
  const stated = rangeEnd(response)
  const next = stated === undefined || (stated === 0 && length === 1) ? offset + length : stated
  if (next <= offset || next > offset + length)
    throw new ImageError(
      'registry.protocol',
      `${endpoint.name.registry}: upload at byte ${next} after bytes ${offset} to ${offset + length}`,
    )
  return { ...session, location: locationOf(endpoint, response), offset: next }
}

async function finish(endpoint: Endpoint, content: Content, session: Session, options: UploadOptions): Promise<void> {
  const url = new URL(session.location)
  url.searchParams.set('digest', content.digest)
  const response = await endpoint.sendWithRetries({
    method: 'PUT',
    to: url,
    scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
    accept: [201, 204, 404],
    headers: { 'content-type': 'application/octet-stream' },
    signal: options.signal,
  })
  response.discard()
  // a repeated request finds no upload where the first one ended it and its answer was lost
  if (response.status === 404)
    throw new ImageError('registry.unavailable', `${endpoint.name.registry}: the upload is not known any more`)
  checkStatedDigest(response, content.digest, `blob on ${endpoint.name.registry}`)
}

/** @returns `undefined` when the registry knows nothing of the upload any more. */
async function askProgress(endpoint: Endpoint, session: Session, options: UploadOptions): Promise<Session | undefined> {
  const response = await endpoint.sendWithRetries({
    method: 'GET',
    to: session.location,
    scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
    accept: [204, 202, 404],
    signal: options.signal,
  })
  response.discard()
  if (response.status === 404) return undefined
  const header = response.header('location')
  return {
    ...session,
    offset: rangeEnd(response) ?? 0,
    location: header === undefined ? session.location : locationOf(endpoint, response),
  }
}

function locationOf(endpoint: Endpoint, response: HttpResponse): URL {
  const location = response.header('location')
  if (location === undefined)
    throw new ImageError('registry.protocol', `${endpoint.name.registry}: an upload without Location`)
  return endpoint.resolve(location)
}

/** The byte after `Range: 0-n`. Nothing yet is written `0-0` by some, which also means one byte: then nothing counts. */
function rangeEnd(response: HttpResponse): number | undefined {
  const end = /^(?:bytes=)?0-([0-9]{1,15})$/.exec(response.header('range') ?? '')?.[1]
  return end === undefined ? undefined : end === '0' ? 0 : Number(end) + 1
}

/** A registry that says it stored something else is not believed to have stored ours. */
export function checkStatedDigest(response: HttpResponse, digest: Digest, what: string): void {
  const stated = response.header('docker-content-digest')
  if (stated !== undefined && parseDigest(stated, what) !== digest)
    throw new ImageError('digest.mismatch', `${what}: stored as ${stated}, sent as ${digest}`)
}

async function* take({ content, open, sent }: Sending, offset: number, length: number): AsyncGenerator<Uint8Array> {
  let left = length
  for await (const chunk of open(offset)) {
    const part = chunk.subarray(0, Math.min(left, chunk.length))
    const seen = sent.size - (offset + length - left)
    if (seen >= 0 && seen < part.length) sent.update(part.subarray(seen))
    left -= part.length
    yield part
    if (left === 0) return
  }
  throw new ImageError('digest.mismatch', `blob ${content.digest}: the source ends ${left} bytes early`)
}

/** The registry should find out too, but would say only that something is wrong, and some do not look. */
function assertSent({ content, sent }: Sending): void {
  if (sent.size !== content.size) return // a registry that went on at a byte of its own has it from elsewhere
  const actual = sent.digest()
  if (actual !== content.digest)
    throw new ImageError('digest.mismatch', `blob ${content.digest}: the source has ${actual} in its place`)
}
