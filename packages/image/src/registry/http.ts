import http from 'node:http'
import https from 'node:https'
import { pipeline, Readable } from 'node:stream'
import { ImageError } from '../errors.ts'
import { checkLiteralHost } from './address-rules.ts'
import { type ConnectionOptions, Connections, MAX_HEADER_BYTES } from './connections.ts'
import { atLeast, type LeastRate, takenAtLeast } from './least-rate.ts'
import type { RegistryHost } from './registry-config.ts'
import { proxyDenied, type TunnelOptions } from './tunnel-agent.ts'

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

export interface HttpOptions extends ConnectionOptions {
  readonly leastRate: LeastRate
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/**
 * One HTTP exchange with one host, under that host's rules: scheme, address, certificates, silence, least rate; past
 * the proxy or through it. Follows no redirect and knows nothing of registries' credentials.
 *
 * @throws {ImageError} `registry.address` when a rule forbids it, `registry.unavailable` when the network fails,
 *   `registry.slow`, `proxy.denied`, `proxy.unavailable`.
 */
export class HttpClient {
  readonly #connections: Connections
  readonly #options: HttpOptions

  constructor(options: HttpOptions) {
    this.#options = options
    this.#connections = new Connections(options)
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
    const { idleSeconds } = this.#options
    const route = this.#connections.route(url, rules)
    const options: https.RequestOptions & TunnelOptions = {
      ...route.request,
      method,
      headers: {
        'user-agent': 'vouchsafe',
        ...request.headers,
        ...route.headers,
        ...(length === undefined ? {} : { 'content-length': length }),
      },
      maxHeaderSize: MAX_HEADER_BYTES,
      timeout: idleSeconds * 1000,
      ...(request.signal === undefined ? {} : { signal: request.signal, caller: request.signal }),
    }
    const where = `${method} ${url.host}${url.pathname}${route.proxy === undefined ? '' : ` through proxy ${route.proxy.host}`}`
    const sourceFailure: { error?: Error } = {}
    return new Promise((resolve, reject) => {
      const outgoing = (route.tls ? https.request : http.request)(options)
      const isStreamed = body !== undefined && !(body instanceof Uint8Array)
      limitHeaders(outgoing, isStreamed, 2 * idleSeconds, where)
      outgoing.on('response', (incoming) => {
        if (route.answersItself && route.proxy !== undefined && incoming.statusCode === 407) {
          outgoing.destroy()
          reject(proxyDenied(route.proxy, url.host, incoming))
        } else resolve(this.#response(incoming, outgoing, request, where))
      })
      outgoing.on('timeout', () => outgoing.destroy(new Error(`silent for ${idleSeconds} s`)))
      const unreachable = route.answersItself ? 'proxy.unavailable' : 'registry.unavailable'
      outgoing.on('error', (cause) =>
        reject(networkError(sourceFailure.error ?? cause, where, request.signal, unreachable)),
      )
      if (body === undefined || body instanceof Uint8Array) outgoing.end(body)
      else {
        const taken = takenAtLeast(body.stream, this.#options.leastRate, where, (slow) => outgoing.destroy(slow))
        pipeline(Readable.from(noting(taken, sourceFailure), { objectMode: false }), outgoing, () => undefined)
      }
    })
  }

  /** Ends idle connections. */
  close(): void {
    this.#connections.close()
  }

  #response(
    incoming: http.IncomingMessage,
    outgoing: http.ClientRequest,
    { method, signal }: HttpRequest,
    where: string,
  ): HttpResponse {
    // an answer before the request is whole is a refusal: the rest of a layer is not sent after it
    incoming.on('end', () => {
      if (!outgoing.writableFinished) outgoing.destroy()
    })
    const { leastRate, now } = this.#options
    return {
      status: incoming.statusCode ?? 0,
      header: (name) => {
        const value = incoming.headers[name]
        return typeof value === 'string' ? value : value?.[0]
      },
      body: atLeast(translated(incoming, where, signal), leastRate, now, where),
      discard: () => {
        // a short answer is read to its end, so that the connection can be used again; that to HEAD states a length and has none
        if (method === 'HEAD' || Number(incoming.headers['content-length'] ?? Infinity) <= 65_536) incoming.resume()
        else incoming.destroy()
        incoming.on('error', () => undefined)
      },
    }
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

/** Each byte of a header ends the silence: an answer has to begin in time too, from when the request is whole. */
function limitHeaders(outgoing: http.ClientRequest, isStreamed: boolean, seconds: number, where: string): void {
  let timer: NodeJS.Timeout | undefined
  const start = () => {
    const late = new ImageError('registry.slow', `${where}: no answer has begun after ${seconds} s`)
    timer = setTimeout(() => outgoing.destroy(late), seconds * 1000)
  }
  const stop = () => {
    clearTimeout(timer)
    outgoing.off('finish', start)
  }
  outgoing.once('response', stop).once('close', stop)
  if (isStreamed) outgoing.once('finish', start)
  else start()
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

function networkError(
  cause: Error,
  where: string,
  signal: AbortSignal | undefined,
  code: 'registry.unavailable' | 'proxy.unavailable' = 'registry.unavailable',
): ImageError {
  if (cause instanceof ImageError) return cause
  if (cause.cause instanceof ImageError) return cause.cause
  if (signal?.aborted === true) return new ImageError('aborted', `${where} was ended by the caller`, { cause })
  return new ImageError(code, `${where}: ${cause.message}`, { cause })
}
