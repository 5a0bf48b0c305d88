import { VouchsafeError } from '@vouchsafe/core'

export interface UpstreamAnswer {
  readonly status: number
  /** By lower-case name. */
  readonly header: (name: string) => string | undefined
  readonly body: Uint8Array
}

/** Fetches one URL once: no retries, no cache. Throws `endorsement.unavailable` when there is no answer. */
export type Upstream = (url: string) => Promise<UpstreamAnswer>

/**
 * Fetches over HTTP, bounded in time and size, without following redirects. TLS is not what makes collateral trusted:
 * everything is signed by its vendor, so a mirror on a plain address does as well.
 */
export function httpUpstream({ timeoutMs = 10_000, maxBytes = 4 * 1024 * 1024 } = {}): Upstream {
  return async (url) => {
    const unavailable = (why: string, cause?: unknown) =>
      new VouchsafeError('endorsement.unavailable', `${url}: ${why}`, { cause })
    try {
      const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
      const body = await readBounded(response, maxBytes)
      if (body === undefined) throw unavailable(`answers with more than ${maxBytes} bytes`)
      return { status: response.status, header: (name) => response.headers.get(name) ?? undefined, body }
    } catch (cause) {
      if (cause instanceof VouchsafeError) throw cause
      const { message, cause: inner } = cause as Error
      throw unavailable(inner instanceof Error ? `${message}: ${inner.message}` : message, cause)
    }
  }
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxBytes) return undefined
    chunks.push(chunk)
  }
  const body = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.length
  }
  return body
}
