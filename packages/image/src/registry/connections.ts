import http from 'node:http'
import https from 'node:https'
import type { lookup as systemLookup } from 'node:dns'
import { urlToHttpOptions } from 'node:url'
import { guardedLookup } from './address-rules.ts'
import { checkProxiedName } from './proxied-names.ts'
import type { Proxy } from './proxy-settings.ts'
import { assertNotBlocked, type RegistryHost } from './registry-config.ts'
import { proxyHeaders, proxyTls, tlsOf, TunnelAgent } from './tunnel-agent.ts'

export const MAX_HEADER_BYTES = 16 * 1024

export interface ConnectionOptions {
  /** How long a connection may be silent, and how long it may take to be there. */
  readonly idleSeconds: number
  readonly lookup?: typeof systemLookup | undefined
  /** Which proxy leads to a URL; none unless told. */
  readonly proxyFor?: (url: URL) => Proxy | undefined
  /** What is configured for a proxy's own host. */
  readonly proxyRules?: (host: string) => RegistryHost
}

/** How one request goes out. */
export interface Route {
  /** Where to, and by which connections. */
  readonly request: http.RequestOptions
  /** For the proxy, where it reads them. */
  readonly headers: Readonly<Record<string, string>>
  /** Spoken to whom the connection leads to: the registry, or a proxy that is asked in its place. */
  readonly tls: boolean
  readonly proxy?: Proxy
  /** The proxy reads the request and may answer it itself: plain HTTP. */
  readonly answersItself: boolean
}

/**
 * The connections of a client. They are shared under equal rules only: one origin may be reached by the rules of
 * several registries.
 */
export class Connections {
  readonly #agents = new Map<string, http.Agent>()
  readonly #options: ConnectionOptions

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** @throws {ImageError} `registry.address` for a name that a proxy is not asked for, and for a blocked proxy. */
  route(url: URL, rules: RegistryHost): Route {
    const proxy = this.#options.proxyFor?.(url)
    const tls = url.protocol === 'https:'
    if (proxy === undefined)
      return {
        request: { ...urlToHttpOptions(url), agent: this.#direct(url, rules) },
        headers: {},
        tls,
        answersItself: false,
      }
    checkProxiedName(url.hostname, url.host, rules.privateNetwork === true)
    const proxyRules = this.#options.proxyRules?.(proxy.host) ?? {}
    assertNotBlocked(proxy.host, proxyRules)
    if (tls) {
      const agent = this.#shared(url, rules, () => this.#tunnels(url, rules, proxy, proxyRules))
      return { request: { ...urlToHttpOptions(url), agent }, headers: {}, tls, proxy, answersItself: false }
    }
    const agent = this.#shared(url, rules, () => this.#toProxy(proxy, proxyRules))
    const headers = { host: url.host, ...proxyHeaders(proxy) }
    const request = { host: proxy.hostname, port: proxy.port, path: url.href, agent }
    return { request, headers, tls: proxy.tls, proxy, answersItself: true }
  }

  /** Ends idle connections. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  #shared(url: URL, rules: RegistryHost, make: () => http.Agent): http.Agent {
    const { privateNetwork, certificateAuthorities, clientCertificate } = rules
    const key = JSON.stringify([url.origin, privateNetwork === true, certificateAuthorities, clientCertificate])
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const agent = make()
    this.#agents.set(key, agent)
    return agent
  }

  #direct(url: URL, rules: RegistryHost): http.Agent {
    return this.#shared(url, rules, () => {
      const lookup = guardedLookup(url.host, rules.privateNetwork === true, this.#options.lookup)
      return url.protocol === 'https:'
        ? new https.Agent({ keepAlive: true, lookup, ...tlsOf(url.host, rules) })
        : new http.Agent({ keepAlive: true, lookup } as http.AgentOptions)
    })
  }

  #tunnels(url: URL, rules: RegistryHost, proxy: Proxy, proxyRules: RegistryHost): TunnelAgent {
    const { idleSeconds, lookup } = this.#options
    const tls = proxy.tls ? proxyTls(proxy, proxyRules) : {}
    const route = { proxy, tls, withinSeconds: idleSeconds, maxHeaderBytes: MAX_HEADER_BYTES, lookup }
    return new TunnelAgent({ keepAlive: true, ...tlsOf(url.host, rules) }, route)
  }

  /** The proxy was chosen by whoever runs this: where it lies is no question. */
  #toProxy(proxy: Proxy, proxyRules: RegistryHost): http.Agent {
    const { lookup } = this.#options
    const options = { keepAlive: true, ...(lookup === undefined ? {} : { lookup }) }
    return proxy.tls
      ? new https.Agent({ ...options, ...proxyTls(proxy, proxyRules) })
      : new http.Agent(options as http.AgentOptions)
  }
}
