import { ImageError } from '../errors.ts'
import type { Content } from '../oci/digest.ts'
import type { Endpoint, StatusError } from './endpoint.ts'
import { uploadInChunks } from './upload-chunks.ts'
import { begin, beginPlainly, isPresent, refusesForm } from './upload-session.ts'
import { uploadWhole } from './upload-whole.ts'

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
  /** So many bytes are there. Falls back where the registry forgot, or takes the blob whole only. */
  readonly onProgress?: (bytes: number) => void
}

export type UploadResult = 'present' | 'mounted' | 'uploaded'

/** Repositories whose registry refused chunks and took a blob whole: the next is sent so at once. */
const takesWholeOnly = new WeakSet<Endpoint>()

/**
 * Puts one blob into a repository: nothing when it is there, a mount when another repository has it, else chunk by
 * chunk, and in one request where the registry does not take chunks.
 *
 * @throws {ImageError} `registry.denied` in whatever form it comes: another one is not tried then.
 */
export async function uploadBlob(
  endpoint: Endpoint,
  source: UploadSource,
  options: UploadOptions = {},
): Promise<UploadResult> {
  const { content } = source
  if (await isPresent(endpoint, content, options)) return 'present'
  const session = await begin(endpoint, content, options)
  if (session === undefined) return 'mounted'
  if (takesWholeOnly.has(endpoint)) await uploadWhole(endpoint, source, session, options)
  else
    try {
      await uploadInChunks(endpoint, source, session, options)
    } catch (error) {
      if (!refusesForm(error)) throw error
      await uploadWholeAfter(error, endpoint, source, options)
    }
  return 'uploaded'
}

async function uploadWholeAfter(
  refusal: StatusError,
  endpoint: Endpoint,
  source: UploadSource,
  options: UploadOptions,
): Promise<void> {
  try {
    await uploadWhole(endpoint, source, await beginPlainly(endpoint, options), options)
  } catch (error) {
    if (!refusesForm(error)) throw error
    throw new ImageError(error.code, `${error.message}; and in chunks: ${refusal.message}`, { cause: error })
  }
  takesWholeOnly.add(endpoint)
}
