import { ImageError, type ImageErrorCode } from '../errors.ts'
import { Authorizer, type Scope } from './authorize.ts'
import { checkUrl, type HttpClient, type HttpRequest, type HttpResponse } from './http.ts'
import { readAll } from './read-all.ts'
import { apiHost, assertNotBlocked, type Credentials, type RegistryHost } from './registry-config.ts'
import { Later, parseRetryAfter, rest, type RetryRules, withRetries } from './retry.ts'
import type { RepositoryName } from '../oci/reference.ts'

export interface EndpointRequest {
  readonly method: HttpRequest['method']
  /** Below the registry's root, or a URL that the registry gave for an upload. */
  readonly to: string | URL
  readonly scopes: readonly Scope[]
  /** Statuses that are an answer; every other one is an error. */
  readonly accept: readonly number[]
  readonly headers?: Readonly<Record<string, string>>
  /** Called for each attempt. */
  readonly body?: () => HttpRequest['body']
  /** Blobs may be fetched from named hosts elsewhere. Not followed unless told. */
  readonly followContentRedirects?: boolean
  readonly signal?: AbortSignal | undefined
}

const MAX_REDIRECTS = 3
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const LATER: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

/** An answer that is none of those a request can do with. */
export class StatusError extends ImageError {
  readonly status: number
  constructor(code: ImageErrorCode, message: string, status: number) {
    super(code, message)
    this.status = status
  }
}

/** One repository on one registry host: authentication, retries and redirects under that host's rules. */
export class Endpoint {
  readonly name: RepositoryName
  readonly #http: HttpClient
  readonly #rules: RegistryHost
  readonly #retry: RetryRules
  readonly #authorizer: Authorizer
  readonly #root: URL

  constructor(
    name: RepositoryName,
    ports: {
      readonly http: HttpClient
      readonly rules: RegistryHost
      readonly retry: RetryRules
      readonly credentials: (name: RepositoryName) => Credentials | undefined
      readonly now: () => number
    },
  ) {
    this.name = name
    this.#http = ports.http
    this.#rules = ports.rules
    this.#retry = ports.retry
    this.#authorizer = new Authorizer({ ...ports, registry: name.registry })
    this.#root = new URL(`${ports.rules.plainHttp === true ? 'http' : 'https'}://${apiHost(name.registry)}`)
  }

  /** `path` below this repository: `blobs/…`. */
  path(path: string): string {
    return `/v2/${this.name.path}/${path}`
  }

  /** Sends, and repeats what failed for a passing reason. Only for requests that may arrive twice. */
  async sendWithRetries(request: EndpointRequest): Promise<HttpResponse> {
    return withRetries(this.#retry, request.signal, () => this.#attempt(request))
  }

  /**
   * A document, whole: also repeated where the connection breaks in the middle of it. Empty unless the status is 200.
   *
   * @throws {ImageError} `document.too-large`.
   */
  async readWithRetries(
    request: EndpointRequest,
    maxBytes: number,
    what: string,
  ): Promise<{ readonly response: HttpResponse; readonly bytes: Uint8Array }> {
    return withRetries(this.#retry, request.signal, async () => {
      const response = await this.#attempt(request)
      if (response.status === 200) return { response, bytes: await readAll(response.body, maxBytes, what) }
      response.discard()
      return { response, bytes: new Uint8Array(0) }
    })
  }

  /** Sends once. */
  async send(request: EndpointRequest): Promise<HttpResponse> {
    return withRetries({ ...this.#retry, attempts: 1 }, request.signal, () => this.#attempt(request))
  }

  /** For whoever repeats what was sent once: as long as between two attempts otherwise. */
  async rest(failures: number, signal: AbortSignal | undefined): Promise<void> {
    await rest(this.#retry, failures, signal)
  }

  /** With a second exchange where the registry wants to know who asks. */
  async #attempt(request: EndpointRequest): Promise<HttpResponse> {
    assertNotBlocked(this.name.registry, this.#rules)
    const url = this.resolve(request.to)
    const { path } = this.name
    const first = await this.#exchange(url, request, this.#authorizer.remembered(path, request.scopes))
    if (first.status !== 401) return this.#judge(first, url, request)
    const authorization = await this.#authorizer.answer(first, path, request.scopes, request.signal)
    first.discard()
    return this.#judge(await this.#exchange(url, request, authorization), url, request)
  }

  /**
   * A URL on this registry.
   *
   * @throws {ImageError} `registry.redirect` when the registry sends an upload to another host or scheme.
   */
  resolve(to: string | URL): URL {
    const url = typeof to === 'string' ? URL.parse(to, this.#root) : to
    if (url === null)
      throw new ImageError('registry.protocol', `${this.name.registry} gave an address that cannot be read`)
    if (url.origin !== this.#root.origin)
      throw new ImageError(
        'registry.redirect',
        `${this.name.registry} sends to ${url.origin}; an upload stays where it is`,
      )
    checkUrl(url, this.#rules)
    return url
  }

  async #exchange(url: URL, request: EndpointRequest, authorization: string | undefined): Promise<HttpResponse> {
    const body = request.body?.()
    return this.#http.send(
      {
        method: request.method,
        url,
        headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
        ...(body === undefined ? {} : { body }),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      },
      this.#rules,
    )
  }

  async #judge(response: HttpResponse, url: URL, request: EndpointRequest): Promise<HttpResponse> {
    const answer =
      request.followContentRedirects === true && REDIRECTS.has(response.status)
        ? await this.#follow(response, url, request)
        : response
    if (request.accept.includes(answer.status)) return answer
    throw await toError(answer, `${request.method} ${url.host}${url.pathname}`)
  }

  /** Without credentials, to named hosts only (H13). What comes back is judged by its digest. */
  async #follow(response: HttpResponse, from: URL, request: EndpointRequest): Promise<HttpResponse> {
    let current = response
    let here = from
    for (let hop = 1; REDIRECTS.has(current.status); hop++) {
      current.discard()
      if (hop > MAX_REDIRECTS)
        throw new ImageError('registry.redirect', `${from.host} redirects more than ${MAX_REDIRECTS} times`)
      const target = URL.parse(current.header('location') ?? '', here)
      if (target === null)
        throw new ImageError('registry.protocol', `${here.host} redirects to an address that cannot be read`)
      const rules = this.#redirectRules(target)
      const headers = Object.fromEntries(Object.entries(request.headers ?? {}).filter(([name]) => name === 'range'))
      current = await this.#http.send(
        {
          method: request.method,
          url: target,
          headers,
          ...(request.signal === undefined ? {} : { signal: request.signal }),
        },
        rules,
      )
      here = target
    }
    return current
  }

  #redirectRules(target: URL): RegistryHost {
    if (target.origin === this.#root.origin) return this.#rules
    const named = (this.#rules.redirectHosts ?? []).some((pattern) =>
      pattern.startsWith('*.') ? target.host.endsWith(pattern.slice(1)) : target.host === pattern,
    )
    if (!named)
      throw new ImageError(
        'registry.redirect',
        `${this.name.registry} redirects to ${target.host}, which its configuration does not name`,
      )
    if (target.protocol !== 'https:')
      throw new ImageError(
        'registry.redirect',
        `${this.name.registry} redirects to ${target.host} by ${target.protocol}`,
      )
    const { privateNetwork, certificateAuthorities } = this.#rules
    return {
      ...(privateNetwork === undefined ? {} : { privateNetwork }),
      ...(certificateAuthorities === undefined ? {} : { certificateAuthorities }),
    }
  }
}

async function toError(response: HttpResponse, where: string): Promise<Error> {
  const { status } = response
  const reason = await readReason(response)
  const message = `${where}: ${status}${reason === '' ? '' : `, ${reason}`}`
  if (LATER.has(status))
    return new Later(
      new ImageError('registry.unavailable', message),
      parseRetryAfter(response.header('retry-after'), Date.now()),
    )
  if (status === 401 || status === 403) return new StatusError('registry.denied', message, status)
  if (status === 404) return new StatusError('registry.not-found', message, status)
  if (REDIRECTS.has(status)) return new StatusError('registry.redirect', `${message}: not followed`, status)
  return new StatusError('registry.protocol', message, status)
}

/** The registry's own words, printable and short: they end in a terminal or a log. */
async function readReason(response: HttpResponse): Promise<string> {
  if (!(response.header('content-type') ?? '').includes('json')) {
    response.discard()
    return ''
  }
  try {
    const text = new TextDecoder().decode(await readAll(response.body, 65_536, 'error'))
    const { errors } = JSON.parse(text) as { errors?: { code?: unknown; message?: unknown }[] }
    const words = (errors ?? []).slice(0, 3).map(({ code, message }) => `${String(code)} ${String(message)}`)
    return words
      .join('; ')
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 300)
  } catch {
    response.discard()
    return ''
  }
}
