import { X509Certificate } from 'node:crypto'
import https from 'node:https'
import { VouchsafeError } from '@vouchsafe/core'

/** One call to a broker whose certificate authority is pinned. */
export interface PinnedRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path with query, beginning with `/`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface PinnedResponse {
  readonly status: number
  readonly body: Uint8Array
}

const MAX_RESPONSE_BYTES = 16 * 1024 * 1024

/**
 * HTTPS to exactly one broker: the only authority that counts is the pinned one (G13), the system's are not asked,
 * redirects are not followed, TLS is 1.3, and an answer is bounded in size and time.
 */
export class PinnedConnection {
  readonly #url: URL
  readonly #agent: https.Agent
  readonly #timeoutMs: number

  /** @param identity - The broker's certificate authority, DER, from the agreement or the owner's own file. */
  constructor(url: string, identity: Uint8Array, options: { readonly timeoutMs: number }) {
    this.#url = new URL(url)
    if (this.#url.protocol !== 'https:')
      throw new VouchsafeError('input.malformed', `broker URL: ${this.#url.protocol}, wanted https:`)
    const ca = new X509Certificate(identity).toString()
    this.#agent = new https.Agent({
      ca,
      minVersion: 'TLSv1.3',
      keepAlive: true,
      maxCachedSessions: 0,
      rejectUnauthorized: true,
    })
    this.#timeoutMs = options.timeoutMs
  }

  /** @throws {VouchsafeError} `peer.unreachable`, `peer.untrusted`, `input.too-large` */
  async send(request: PinnedRequest): Promise<PinnedResponse> {
    return new Promise((resolve, reject) => {
      const call = https.request(
        {
          agent: this.#agent,
          host: this.#url.hostname,
          port: this.#url.port || 443,
          method: request.method,
          path: request.path,
          headers: {
            ...request.headers,
            ...(request.body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': request.body.length }),
          },
          timeout: this.#timeoutMs,
        },
        (response) => {
          const chunks: Buffer[] = []
          let size = 0
          response.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size > MAX_RESPONSE_BYTES)
              call.destroy(
                new VouchsafeError(
                  'input.too-large',
                  `${this.#url.host} answered with more than ${MAX_RESPONSE_BYTES} bytes`,
                ),
              )
            else chunks.push(chunk)
          })
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: new Uint8Array(Buffer.concat(chunks)) }),
          )
          response.on('error', (cause) => reject(this.#translate(cause)))
        },
      )
      call.on('timeout', () =>
        call.destroy(
          new VouchsafeError('peer.unreachable', `${this.#url.host} did not answer within ${this.#timeoutMs} ms`),
        ),
      )
      call.on('error', (cause: Error & { code?: string }) => {
        // the server closed a connection that had been idle just as it was taken again: it has read nothing of this call
        if (call.reusedSocket && cause.code === 'ECONNRESET') resolve(this.send(request))
        else reject(this.#translate(cause))
      })
      call.end(request.body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #translate(cause: Error & { code?: string }): VouchsafeError {
    if (cause instanceof VouchsafeError) return cause
    const tls = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|SSL|TLS/.test(cause.code ?? '')
    if (tls)
      return new VouchsafeError(
        'peer.untrusted',
        `${this.#url.host} did not show a certificate of the pinned authority: ${cause.code}`,
        { cause },
      )
    return new VouchsafeError('peer.unreachable', `${this.#url.host}: ${cause.code ?? cause.message}`, { cause })
  }
}
