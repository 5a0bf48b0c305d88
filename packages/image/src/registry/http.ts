import http from 'node:http'
import https from 'node:https'
import type { lookup as systemLookup } from 'node:dns'
import { pipeline, Readable } from 'node:stream'
import { ImageError } from '../errors.ts'
import { checkLiteralHost, guardedLookup } from './address-rules.ts'
import type { RegistryHost } from './registry-config.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes, or a stream of exactly `contentLength` bytes. */
  readonly body?: Uint8Array | { readonly stream: AsyncIterable<Uint8Array>; readonly contentLength: number }
  readonly signal?: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  readonly header: (name: string) => string | undefined
  /** Must be read or dropped with `discard`. */
  readonly body: AsyncIterable<Uint8Array>
  readonly discard: () => void
}

const MAX_HEADER_BYTES = 16 * 1024

/**
 * One HTTP exchange with one host, under that host's rules: scheme, address, certificates, silence. Follows no
 * redirect and knows nothing of credentials.
 *
 * @throws {ImageError} `registry.address` when a rule forbids it, `registry.unavailable` when the network fails.
 */
export class HttpClient {
  readonly #agents = new Map<string, http.Agent>()
  readonly #idleSeconds: number
  readonly #lookup: typeof systemLookup | undefined

  constructor(options: { readonly idleSeconds: number; readonly lookup?: typeof systemLookup | undefined }) {
    this.#idleSeconds = options.idleSeconds
    this.#lookup = options.lookup
  }

  async send(request: HttpRequest, rules: RegistryHost): Promise<HttpResponse> {
    const { url, method } = request
    checkUrl(url, rules)
    const body = request.body
    const length =
      body === undefined
        ? method === 'POST' || method === 'PUT'
          ? 0
          : undefined
        : body instanceof Uint8Array
          ? body.length
          : body.contentLength
    const options: https.RequestOptions = {
      method,
      agent: this.#agent(url, rules),
      headers: {
        'user-agent': 'vouchsafe',
        ...request.headers,
        ...(length === undefined ? {} : { 'content-length': length }),
      },
      maxHeaderSize: MAX_HEADER_BYTES,
      timeout: this.#idleSeconds * 1000,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    }
    const where = `${method} ${url.host}${url.pathname}`
    const sourceFailure: { error?: Error } = {}
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? https.request : http.request
      const outgoing = send(url, options, (incoming) => resolve(toResponse(incoming, method, where, request.signal)))
      outgoing.on('timeout', () => outgoing.destroy(new Error(`silent for ${this.#idleSeconds} s`)))
      outgoing.on('error', (cause) => reject(networkError(sourceFailure.error ?? cause, where, request.signal)))
      if (body === undefined || body instanceof Uint8Array) outgoing.end(body)
      else pipeline(Readable.from(noting(body.stream, sourceFailure), { objectMode: false }), outgoing, () => undefined)
    })
  }

  /** Ends idle connections. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  /** Connections are shared under equal rules only: one origin may be reached by the rules of several registries. */
  #agent(url: URL, rules: RegistryHost): http.Agent {
    const { privateNetwork, certificateAuthorities, clientCertificate } = rules
    const key = JSON.stringify([url.origin, privateNetwork === true, certificateAuthorities, clientCertificate])
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const lookup = guardedLookup(url.host, privateNetwork === true, this.#lookup)
    const agent =
      url.protocol === 'https:'
        ? new https.Agent({
            keepAlive: true,
            lookup,
            minVersion: 'TLSv1.2',
            ...(certificateAuthorities === undefined ? {} : { ca: [...certificateAuthorities] }),
            ...(clientCertificate === undefined
              ? {}
              : { cert: clientCertificate.certificate, key: clientCertificate.key }),
          })
        : new http.Agent({ keepAlive: true, lookup } as http.AgentOptions)
    this.#agents.set(key, agent)
    return agent
  }
}

/** @throws {ImageError} `registry.address`. */
export function checkUrl(url: URL, rules: RegistryHost): void {
  const wanted = rules.plainHttp === true ? 'http:' : 'https:'
  if (url.protocol !== wanted)
    throw new ImageError('registry.address', `${url.host}: ${url.protocol} where ${wanted} is wanted`)
  if (url.username !== '' || url.password !== '')
    throw new ImageError('registry.address', `${url.host}: user information in a URL`)
  if (url.hash !== '') throw new ImageError('registry.address', `${url.host}: a fragment in a URL`)
  checkLiteralHost(url.hostname, url.host, rules.privateNetwork === true)
}

function toResponse(
  incoming: http.IncomingMessage,
  method: HttpRequest['method'],
  where: string,
  signal: AbortSignal | undefined,
): HttpResponse {
  return {
    status: incoming.statusCode ?? 0,
    header: (name) => {
      const value = incoming.headers[name]
      return typeof value === 'string' ? value : value?.[0]
    },
    body: translated(incoming, where, signal),
    discard: () => {
      // a short answer is read to its end, so that the connection can be used again; that to HEAD states a length and has none
      if (method === 'HEAD' || Number(incoming.headers['content-length'] ?? Infinity) <= 65_536) incoming.resume()
      else incoming.destroy()
      incoming.on('error', () => undefined)
    },
  }
}

async function* translated(
  incoming: http.IncomingMessage,
  where: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming) yield chunk as Uint8Array
  } catch (cause) {
    throw networkError(cause as Error, where, signal)
  }
}

/** Keeps the source's own error: the request only reports a broken connection. */
async function* noting(source: AsyncIterable<Uint8Array>, failure: { error?: Error }): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    failure.error = error as Error
    throw error
  }
}

function networkError(cause: Error, where: string, signal: AbortSignal | undefined): ImageError {
  if (cause instanceof ImageError) return cause
  if (cause.cause instanceof ImageError) return cause.cause
  if (signal?.aborted === true) return new ImageError('aborted', `${where} was ended by the caller`, { cause })
  return new ImageError('registry.unavailable', `${where}: ${cause.message}`, { cause })
}
