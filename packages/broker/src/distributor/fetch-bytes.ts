import https from 'node:https'
import { VouchsafeError } from '@vouchsafe/core'

const MAX_BYTES = 8 * 1024 * 1024
const TIMEOUT_MS = 15_000

/**
 * One HTTPS call to a platform: verified, bounded in size and time, no redirects.
 *
 * @throws {VouchsafeError} `endorsement.unavailable`: whatever goes wrong, nothing can be said
 */
export function fetchBytes(
  url: string,
  options: {
    /** PEM of the authorities that count; undefined for the system's. */
    readonly authority: string | undefined
    readonly headers?: Readonly<Record<string, string>>
    /** Makes it a POST of JSON. */
    readonly body?: Uint8Array
  },
): Promise<Uint8Array> {
  const { authority, body } = options
  const fail = (why: string, cause?: unknown) =>
    new VouchsafeError('endorsement.unavailable', `${new URL(url).host}: ${why}`, { cause })
  return new Promise((resolve, reject) => {
    const call = https.request(
      url,
      {
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...options.headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        timeout: TIMEOUT_MS,
        agent: false,
        ...(authority !== undefined && { ca: authority }),
      },
      (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_BYTES) call.destroy(fail(`more than ${MAX_BYTES} bytes`))
          else chunks.push(chunk)
        })
        response.on('end', () =>
          response.statusCode === 200
            ? resolve(new Uint8Array(Buffer.concat(chunks)))
            : reject(fail(`status ${response.statusCode}`)),
        )
        response.on('error', (cause) => reject(fail(cause.message, cause)))
      },
    )
    call.on('timeout', () => call.destroy(fail(`no answer within ${TIMEOUT_MS} ms`)))
    call.on('error', (cause) => reject(cause instanceof VouchsafeError ? cause : fail(cause.message, cause)))
    call.end(body)
  })
}
