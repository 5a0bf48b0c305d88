import { ImageError } from '../errors.ts'
import { type Content, digestAlgorithm, Digester } from '../oci/digest.ts'
import { repositoryScope } from './authorize.ts'
import { type Endpoint, StatusError } from './endpoint.ts'
import type { HttpResponse } from './http.ts'
import { isPassing } from './retry.ts'
import type { UploadOptions, UploadSource } from './upload.ts'
import {
  beginPlainly,
  checkStatedDigest,
  finalUrl,
  isPresent,
  locationOf,
  MAX_FAILURES,
  refusesForm,
  type Session,
} from './upload-session.ts'

/** A source whose bytes are hashed as they are sent, each the first time. */
interface Sending extends UploadSource {
  readonly sent: Digester
}

/**
 * Chunk by chunk, asking after each failure how far the registry got.
 *
 * @throws {StatusError} Where the registry does not take chunks: see `refusesForm`.
 * @source OCI distribution specification, push: chunked upload
 */
export async function uploadInChunks(
  endpoint: Endpoint,
  from: UploadSource,
  first: Session,
  options: UploadOptions,
): Promise<void> {
  const { content } = from
  const sent = new Digester(digestAlgorithm(content.digest))
  const source: Sending = { content, open: (offset) => from.open(offset), sent }
  let session = first
  let furthest = 0
  let compared = false
  for (let [failures, lost] = [0, 0]; ;) {
    try {
      while (session.offset < content.size) {
        session = await sendChunk(endpoint, source, session, options)
        // what is sent again is no progress: a registry that forgets each time would go on for ever
        if (session.offset > furthest) failures = lost = 0
        furthest = Math.max(furthest, session.offset)
        options.onProgress?.(session.offset)
      }
      if (!compared) assertSent(source)
      compared = true
      await finish(endpoint, content, session, options)
      return
    } catch (error) {
      if (isLost(error) ? ++lost > 1 : !isPassing(error) || ++failures > MAX_FAILURES) throw error
      if (failures > 0) await endpoint.rest(failures, options.signal)
      // the answer to the last request may have been lost, not the request
      if (await isPresent(endpoint, content, options)) return
      session = (await askProgress(endpoint, session, options)) ?? (await beginPlainly(endpoint, options))
      assertNotAhead(endpoint, session.offset, sent)
    }
  }
}

/** It is at another byte than we think, or has forgotten the upload. Asked where it is, and refusing again, it takes no chunks. */
function isLost(error: unknown): boolean {
  return error instanceof StatusError && (error.status === 416 || error.status === 404)
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
    accept: [202],
    headers: { 'content-type': 'application/octet-stream', 'content-range': `${offset}-${offset + length - 1}` },
    body: () => ({ stream: take(source, offset, length), contentLength: length }),
    signal: options.signal,
  })
  response.discard()
  const stated = rangeEnd(response)
  const next = stated === undefined || (stated === 0 && length === 1) ? offset + length : stated
  if (next <= offset || next > offset + length)
    throw new ImageError(
      'registry.protocol',
      `${endpoint.name.registry}: upload at byte ${next} after bytes ${offset} to ${offset + length}`,
    )
  assertNotAhead(endpoint, next, source.sent)
  return { ...session, location: locationOf(endpoint, response), offset: next }
}

async function finish(endpoint: Endpoint, content: Content, session: Session, options: UploadOptions): Promise<void> {
  const response = await endpoint.sendWithRetries({
    method: 'PUT',
    to: finalUrl(session, content),
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

/** @returns `undefined` when the registry knows nothing of the upload any more, or never tells. */
async function askProgress(endpoint: Endpoint, session: Session, options: UploadOptions): Promise<Session | undefined> {
  let response: HttpResponse
  try {
    response = await endpoint.sendWithRetries({
      method: 'GET',
      to: session.location,
      scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
      accept: [204, 202],
      signal: options.signal,
    })
  } catch (error) {
    if (refusesForm(error)) return undefined
    throw error
  }
  response.discard()
  const header = response.header('location')
  return {
    ...session,
    offset: rangeEnd(response) ?? 0,
    location: header === undefined ? session.location : locationOf(endpoint, response),
  }
}

/** The byte after `Range: 0-n`. Nothing yet is written `0-0` by some, which also means one byte: then nothing counts. */
function rangeEnd(response: HttpResponse): number | undefined {
  const end = /^(?:bytes=)?0-([0-9]{1,15})$/.exec(response.header('range') ?? '')?.[1]
  return end === undefined ? undefined : end === '0' ? 0 : Number(end) + 1
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

/** What it has from elsewhere nobody here has hashed, and it would be committed as the blob. */
function assertNotAhead({ name }: Endpoint, offset: number, sent: Digester): void {
  if (offset > sent.size)
    throw new ImageError(
      'registry.protocol',
      `${name.registry}: has ${offset} bytes of an upload, ${sent.size} were sent`,
    )
}

/** The registry should find out too, but would say only that something is wrong, and some do not look. */
function assertSent({ content, sent }: Sending): void {
  const actual = sent.digest()
  if (actual !== content.digest)
    throw new ImageError('digest.mismatch', `blob ${content.digest}: the source has ${actual} in its place`)
}
