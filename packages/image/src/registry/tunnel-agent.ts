import http from 'node:http'
import https from 'node:https'
import type { lookup as systemLookup } from 'node:dns'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext } from 'node:tls'
import { ImageError } from '../errors.ts'
import type { Proxy } from './proxy-settings.ts'
import type { RegistryHost } from './registry-config.ts'

/** How a proxy is reached. Its certificate is its own matter: a registry's roots are not tried on it, nor the reverse. */
export interface ProxyRoute {
  readonly proxy: Proxy
  /** For a proxy that is spoken to by TLS: see `proxyTls`. */
  readonly tls: https.AgentOptions
  /** Until the tunnel stands: a proxy that drips is not waited for longer. */
  readonly withinSeconds: number
  readonly maxHeaderBytes: number
  readonly lookup: typeof systemLookup | undefined
}

/** How a request asks for its connection. */
export interface TunnelOptions extends http.ClientRequestArgs {
  /** Ends the opening of a tunnel: Node keeps a request's own signal from its agent, and the request until there is a tunnel. */
  readonly caller?: AbortSignal
}

type Done = (error: Error | null, socket: Duplex) => void

/**
 * Connects through a proxy by CONNECT and speaks TLS with the registry inside, with the roots and the certificate of
 * the registry's rules. The proxy sees a host and a port. Node's own `proxyEnv` would do the same, but reads the
 * proxy's answer without a limit, times only its silence, and gives a proxy by TLS no name and no roots.
 *
 * @throws {ImageError} Into the request: `proxy.denied`, `proxy.unavailable`.
 * @source RFC 9110, 9.3.6
 */
export class TunnelAgent extends https.Agent {
  readonly #route: ProxyRoute
  readonly #opening = new Set<http.ClientRequest>()

  constructor(options: https.AgentOptions, route: ProxyRoute) {
    super(options)
    this.#route = route
  }

  override createConnection(options: TunnelOptions, done?: Done): undefined {
    const { withinSeconds } = this.#route
    const authority = authorityOf(options)
    const asking = connectRequest(this.#route, authority, options.caller)
    this.#opening.add(asking)
    const late = setTimeout(
      () => asking.destroy(new Error(`no tunnel within ${withinSeconds} s`)),
      withinSeconds * 1000,
    )
    const settle = () => {
      clearTimeout(late)
      this.#opening.delete(asking)
    }
    asking.once('connect', (answer, socket, head) => {
      settle()
      const refusal = refusalOf(this.#route.proxy, authority, answer, head)
      if (refusal === undefined) return done?.(null, this.#secured({ ...options, socket }))
      socket.destroy()
      failed(done, refusal)
    })
    asking.once('error', (cause) => {
      settle()
      failed(
        done,
        options.caller?.aborted === true ? cause : unavailable(this.#route.proxy, authority, cause.message, cause),
      )
    })
    asking.end()
  }

  /** Also what is still on its way to the proxy. */
  override destroy(): void {
    for (const asking of this.#opening) asking.destroy(new Error('ended'))
    super.destroy()
  }

  #secured(options: http.ClientRequestArgs & { readonly socket: Duplex }): Duplex {
    const secured = super.createConnection(options)
    if (secured === null || secured === undefined) throw new Error('TLS in a tunnel without a socket')
    return secured
  }
}

/** The types want a socket with an error, Node does not. */
function failed(done: Done | undefined, error: Error): void {
  ;(done as ((error: Error) => void) | undefined)?.(error)
}

function authorityOf({ host, port }: http.ClientRequestArgs): string {
  const name = host ?? ''
  return `${name.includes(':') ? `[${name}]` : name}:${port ?? 443}`
}

function connectRequest(
  { proxy, tls, maxHeaderBytes, lookup }: ProxyRoute,
  authority: string,
  signal: AbortSignal | undefined,
): http.ClientRequest {
  return (proxy.tls ? https.request : http.request)({
    method: 'CONNECT',
    host: proxy.hostname,
    port: proxy.port,
    path: authority,
    headers: { host: authority, connection: 'keep-alive', 'user-agent': 'vouchsafe', ...proxyHeaders(proxy) },
    agent: false,
    maxHeaderSize: maxHeaderBytes,
    ...(lookup === undefined ? {} : { lookup }),
    ...(signal === undefined ? {} : { signal }),
    ...tls,
  })
}

/** For requests that the proxy itself answers, and no others. */
export function proxyHeaders({ authorization }: Proxy): Readonly<Record<string, string>> {
  return authorization === undefined
    ? {}
    : { 'proxy-authorization': Buffer.from(authorization.expose()).toString('latin1') }
}

/** The proxy's own certificate, for the proxy's own name: Node would take the registry's, which is in the Host header. */
export function proxyTls({ host, hostname }: Proxy, rules: RegistryHost): https.AgentOptions {
  return { ...tlsOf(host, rules), servername: isIP(hostname) === 0 ? hostname : '' }
}

/**
 * The roots and the client certificate of a host's rules, read here and once: inside a tunnel nobody would catch what
 * Node says of a key that does not fit.
 *
 * @throws {ImageError} `registry.address`.
 */
export function tlsOf(
  host: string,
  { certificateAuthorities, clientCertificate }: RegistryHost,
): { readonly secureContext: SecureContext } {
  try {
    const secureContext = createSecureContext({
      minVersion: 'TLSv1.2',
      ...(certificateAuthorities === undefined ? {} : { ca: [...certificateAuthorities] }),
      ...(clientCertificate === undefined ? {} : { cert: clientCertificate.certificate, key: clientCertificate.key }),
    })
    return { secureContext }
  } catch (cause) {
    throw new ImageError(
      'registry.address',
      `${host}: its roots or its client certificate cannot be used: ${(cause as Error).message}`,
      { cause },
    )
  }
}

function refusalOf(
  proxy: Proxy,
  authority: string,
  answer: http.IncomingMessage,
  head: Buffer,
): ImageError | undefined {
  const status = answer.statusCode ?? 0
  if (status === 200 && head.length === 0) return undefined
  if (status === 200) return unavailable(proxy, authority, 'it put bytes of its own into the tunnel')
  // tinyproxy says 401
  if (status === 407 || status === 401) return proxyDenied(proxy, authority, answer)
  if (status >= 500 || status === 429 || status === 408)
    return unavailable(proxy, authority, `${status}, it cannot reach that host or is busy`)
  return new ImageError('proxy.denied', `proxy ${proxy.host}, ${authority}: ${status}, it lets nobody through to there`)
}

/** An answer of the proxy that is about who asks. */
export function proxyDenied(
  proxy: Proxy,
  where: string,
  { statusCode, headers }: Pick<http.IncomingMessage, 'statusCode' | 'headers'>,
): ImageError {
  const challenge = headers['proxy-authenticate'] ?? headers['www-authenticate']
  const found = String(challenge ?? '').matchAll(/(?:^|,)\s*([A-Za-z]{1,20})(?=\s|,|$)/g)
  const schemes = [...new Set(Array.from(found, ([, scheme = '']) => scheme.toLowerCase()))]
  const basic = schemes.length === 0 || schemes.includes('basic')
  const why = !basic
    ? `it asks for ${schemes.slice(0, 4).join(', ')}, and only Basic is known`
    : proxy.authorization === undefined
      ? 'it wants a user and a password, and its address has none'
      : 'it does not take the user and password in its address'
  return new ImageError('proxy.denied', `proxy ${proxy.host}, ${where}: ${statusCode}, ${why}`)
}

function unavailable(proxy: Proxy, authority: string, what: string, cause?: unknown): ImageError {
  return new ImageError('proxy.unavailable', `proxy ${proxy.host}, ${authority}: ${what}`, { cause })
}
