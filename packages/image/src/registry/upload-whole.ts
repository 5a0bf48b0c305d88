import { ImageError } from '../errors.ts'
import { digestAlgorithm, Digester } from '../oci/digest.ts'
import { repositoryScope } from './authorize.ts'
import type { Endpoint } from './endpoint.ts'
import { isPassing } from './retry.ts'
import type { UploadOptions, UploadSource } from './upload.ts'
import { beginPlainly, checkStatedDigest, finalUrl, isPresent, MAX_FAILURES, type Session } from './upload-session.ts'

/**
 * The blob in one request, for registries that do not take chunks: what containerd and oras do. A connection that breaks
 * costs all that was sent.
 *
 * @source OCI distribution specification, push: POST then PUT
 */
export async function uploadWhole(
  endpoint: Endpoint,
  source: UploadSource,
  first: Session,
  options: UploadOptions,
): Promise<void> {
  const { content } = source
  let session = first
  for (let failures = 0; ;) {
    try {
      const response = await endpoint.send({
        method: 'PUT',
        to: finalUrl(session, content),
        scopes: [repositoryScope(endpoint.name.path, 'pull', 'push')],
        accept: [201, 204],
        headers: { 'content-type': 'application/octet-stream' },
        body: () => ({ stream: compared(source, options), contentLength: content.size }),
        signal: options.signal,
      })
      response.discard()
      checkStatedDigest(response, content.digest, `blob on ${endpoint.name.registry}`)
      return
    } catch (error) {
      if (!isPassing(error) || ++failures > MAX_FAILURES) throw error
      await endpoint.rest(failures, options.signal)
      // the answer may have been lost, not the request
      if (await isPresent(endpoint, content, options)) return
      session = await beginPlainly(endpoint, options)
    }
  }
}

/** The last bytes are held back until all are known to be right: some registries do not look. */
async function* compared({ content, open }: UploadSource, options: UploadOptions): AsyncGenerator<Uint8Array> {
  const sent = new Digester(digestAlgorithm(content.digest))
  let held: Uint8Array = new Uint8Array(0)
  for await (const chunk of open(0)) {
    if (held.length > 0) {
      yield held
      options.onProgress?.(sent.size)
    }
    held = chunk.subarray(0, content.size - sent.size)
    sent.update(held)
    if (sent.size === content.size) break
  }
  const actual = sent.digest()
  if (actual !== content.digest)
    throw new ImageError(
      'digest.mismatch',
      sent.size < content.size
        ? `blob ${content.digest}: the source ends ${content.size - sent.size} bytes early`
        : `blob ${content.digest}: the source has ${actual} in its place`,
    )
  if (held.length > 0) yield held
  options.onProgress?.(content.size)
}
