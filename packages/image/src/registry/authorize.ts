import { ImageError } from '../errors.ts'
import { member, parseJsonObject } from '../oci/json.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { parseChallenges } from './challenge.ts'
import { type HttpClient, type HttpResponse } from './http.ts'
import { readAll } from './read-all.ts'
import { apiHost, type Credentials, type RegistryHost } from './registry-config.ts'

export type Action = 'pull' | 'push' | 'delete'
/** What a request needs: `repository:<path>:<actions>`. Always ours, never what the server suggests. */
export type Scope = string

export function repositoryScope(path: string, ...actions: readonly Action[]): Scope {
  return `repository:${path}:${actions.join(',')}`
}

interface Held {
  readonly header: string
  readonly until: number
}

const MAX_TOKEN_BYTES = 1024 * 1024
const DEFAULT_LIFETIME_SECONDS = 60

/**
 * Turns a registry's challenge into an Authorization header. Credentials go to the registry itself, or to a token
 * service on a host that its configuration names; never to where an answer points (H13).
 */
export class Authorizer {
  readonly #http: HttpClient
  readonly #rules: RegistryHost
  readonly #registry: string
  readonly #credentials: (name: RepositoryName) => Credentials | undefined
  readonly #held = new Map<string, Held>()
  readonly #now: () => number

  constructor(ports: {
    readonly http: HttpClient
    readonly rules: RegistryHost
    readonly registry: string
    readonly credentials: (name: RepositoryName) => Credentials | undefined
    readonly now: () => number
  }) {
    this.#http = ports.http
    this.#rules = ports.rules
    this.#registry = ports.registry
    this.#credentials = ports.credentials
    this.#now = ports.now
  }

  /** The header that worked last time, while it is fresh. */
  remembered(path: string, scopes: readonly Scope[]): string | undefined {
    const held = this.#held.get(keyOf(path, scopes))
    return held !== undefined && held.until > this.#now() ? held.header : undefined
  }

  /**
   * @param path - The repository, which chooses the credentials.
   * @throws {ImageError} `registry.denied`, `registry.realm`, `registry.protocol`, `registry.unavailable`.
   */
  async answer(response: HttpResponse, path: string, scopes: readonly Scope[], signal?: AbortSignal): Promise<string> {
    const header = response.header('www-authenticate')
    if (header === undefined)
      throw new ImageError('registry.denied', `${this.#registry} wants no kind of authentication that is known`)
    const challenges = parseChallenges(header)
    const credentials = this.#credentials({ registry: this.#registry, path })
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer')
    const held =
      bearer !== undefined
        ? await this.#token(bearer.parameters, credentials, scopes, signal)
        : challenges.some((challenge) => challenge.scheme === 'basic')
          ? { header: this.#basic(credentials, apiHost(this.#registry)), until: Infinity }
          : undefined
    if (held === undefined)
      throw new ImageError('registry.denied', `${this.#registry} wants ${challenges.map((c) => c.scheme).join(', ')}`)
    this.#held.set(keyOf(path, scopes), held)
    return held.header
  }

  async #token(
    parameters: ReadonlyMap<string, string>,
    credentials: Credentials | undefined,
    scopes: readonly Scope[],
    signal: AbortSignal | undefined,
  ): Promise<Held> {
    const { url, rules } = this.#realm(parameters.get('realm'))
    const service = parameters.get('service')
    const fields = [
      ...(service === undefined ? [] : [['service', service] as const]),
      ...scopes.map((scope) => ['scope', scope] as const),
    ]
    const response =
      credentials?.kind === 'identity-token'
        ? await this.#post(url, rules, fields, credentials.token, signal)
        : await this.#get(url, rules, fields, credentials, signal)
    if (response.status !== 200) {
      response.discard()
      const code = response.status === 429 || response.status >= 500 ? 'registry.unavailable' : 'registry.denied'
      throw new ImageError(code, `token service ${url.host} answered ${response.status} for ${scopes.join(' ')}`)
    }
    const document = parseJsonObject(
      await readAll(response.body, MAX_TOKEN_BYTES, 'token'),
      `token of ${url.host}`,
      MAX_TOKEN_BYTES,
    )
    const token = member(document, 'token') ?? member(document, 'access_token')
    // the token goes into a header: nothing but the characters of RFC 6750
    if (typeof token !== 'string' || !/^[A-Za-z0-9._~+/=-]+$/.test(token))
      throw new ImageError('registry.protocol', `token service ${url.host} sent no token`)
    const lifetime = member(document, 'expires_in')
    const seconds = typeof lifetime === 'number' && lifetime > 0 ? lifetime : DEFAULT_LIFETIME_SECONDS
    return { header: `Bearer ${token}`, until: this.#now() + seconds * 900 }
  }

  /** Where the token service is, if it may be there. */
  #realm(text: string | undefined): { url: URL; rules: RegistryHost } {
    const url = text === undefined ? null : URL.parse(text)
    if (url === null)
      throw new ImageError('registry.realm', `${this.#registry} names no token service that can be read`)
    if (url.username !== '' || url.password !== '' || url.hash !== '')
      throw new ImageError(
        'registry.realm',
        `${this.#registry} names a token service with user information or a fragment`,
      )
    if (url.host === new URL(`https://${apiHost(this.#registry)}`).host || url.host === plainHost(this.#registry)) {
      // on its own host, but never with less protection than the registry itself
      if (url.protocol !== (this.#rules.plainHttp === true ? 'http:' : 'https:'))
        throw new ImageError('registry.realm', `${this.#registry} names a token service by ${url.protocol}`)
      return { url, rules: this.#rules }
    }
    if (!(this.#rules.realmHosts ?? []).includes(url.host))
      throw new ImageError(
        'registry.realm',
        `${this.#registry} sends to a token service on ${url.host}, which its configuration does not name`,
      )
    if (url.protocol !== 'https:')
      throw new ImageError('registry.realm', `token service ${url.host} by ${url.protocol}`)
    const { certificateAuthorities, privateNetwork } = this.#rules
    return {
      url,
      rules: {
        ...(privateNetwork === undefined ? {} : { privateNetwork }),
        ...(certificateAuthorities === undefined ? {} : { certificateAuthorities }),
      },
    }
  }

  async #get(
    url: URL,
    rules: RegistryHost,
    fields: Fields,
    credentials: Credentials | undefined,
    signal?: AbortSignal,
  ) {
    const asked = new URL(url)
    for (const [name, value] of fields) asked.searchParams.append(name, value)
    const headers: Record<string, string> =
      credentials === undefined ? {} : { authorization: this.#basic(credentials, url.host) }
    return this.#http.send({ method: 'GET', url: asked, headers, ...(signal === undefined ? {} : { signal }) }, rules)
  }

  async #post(url: URL, rules: RegistryHost, fields: Fields, token: string, signal?: AbortSignal) {
    this.#assertConfidential(url.host, rules)
    const form = new URLSearchParams([
      ['grant_type', 'refresh_token'],
      ['refresh_token', token],
      ['client_id', 'vouchsafe'],
      ...fields.map(([name, value]): [string, string] => [name, value]),
    ])
    const body = new TextEncoder().encode(form.toString())
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return this.#http.send({ method: 'POST', url, headers, body, ...(signal === undefined ? {} : { signal }) }, rules)
  }

  #basic(credentials: Credentials | undefined, host: string): string {
    if (credentials === undefined)
      throw new ImageError('registry.denied', `${this.#registry} wants credentials, none are configured`)
    if (credentials.kind !== 'password')
      throw new ImageError('registry.denied', `${this.#registry} wants a password, an identity token is configured`)
    this.#assertConfidential(host, this.#rules)
    return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`
  }

  #assertConfidential(host: string, rules: RegistryHost): void {
    const hostname = new URL(`http://${host}`).hostname
    if (rules.plainHttp === true && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname))
      throw new ImageError('registry.denied', `${host} is spoken to in plain HTTP: credentials stay here`)
  }
}

type Fields = readonly (readonly [string, string])[]

function keyOf(path: string, scopes: readonly Scope[]): string {
  return [path, ...scopes].join(' ')
}

/** The host as a URL of plain HTTP shows it, without the default port. */
function plainHost(registry: string): string {
  return new URL(`http://${apiHost(registry)}`).host
}
