import { Secret } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { parseNoProxy } from './no-proxy.ts'

/** Which proxy leads out of this network, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say it. Left out: none. */
export interface ProxySettings {
  /** For registries by TLS, which is all of them unless `plainHttp`: `http://user:password@host:port`, or `https://…`. */
  readonly https?: string
  /** For registries with `plainHttp`. */
  readonly http?: string
  /** Hosts that are asked directly, as in NO_PROXY. Loopback always is. */
  readonly noProxy?: string
}

/** A proxy as it is spoken to. */
export interface Proxy {
  /** Host and port, for messages and rules: no password in it. */
  readonly host: string
  readonly hostname: string
  readonly port: number
  /** Spoken to by TLS itself. */
  readonly tls: boolean
  /** What goes into `Proxy-Authorization`, to this proxy and to nobody else. */
  readonly authorization?: Secret
}

/**
 * The settings of an environment, which skopeo, crane, cosign and docker take too. Upper case comes first, as in Go;
 * an empty variable is none. Only this function knows the names: whoever has an environment hands it over.
 */
export function proxyFromEnvironment(environment: Readonly<Record<string, string | undefined>>): ProxySettings {
  const read = (name: string) => {
    const value = environment[name] || environment[name.toLowerCase()]
    return value === undefined || value === '' ? undefined : value
  }
  const [https, http, noProxy] = [read('HTTPS_PROXY'), read('HTTP_PROXY'), read('NO_PROXY')]
  return {
    ...(https === undefined ? {} : { https }),
    ...(http === undefined ? {} : { http }),
    ...(noProxy === undefined ? {} : { noProxy }),
  }
}

/**
 * Says for each URL which proxy leads there, and nothing where it is asked directly. Settings that cannot be read are
 * refused, and never read as "no proxy": Go goes on without one then.
 *
 * @throws {ImageError} `proxy.settings`, which shows nothing of a setting: it may hold a password.
 */
export function proxyChooser(settings: ProxySettings): (url: URL) => Proxy | undefined {
  const https = settings.https === undefined ? undefined : parseProxy(settings.https, 'the proxy for https')
  const http = settings.http === undefined ? undefined : parseProxy(settings.http, 'the proxy for http')
  const isDirect = parseNoProxy(settings.noProxy ?? '')
  return (url) => (isDirect(url) ? undefined : url.protocol === 'https:' ? https : http)
}

function parseProxy(text: string, what: string): Proxy {
  const refuse = (why: string, cause?: unknown) => new ImageError('proxy.settings', `${what}: ${why}`, { cause })
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (url === null) throw refuse('not a URL; special characters in a password are written as %40, %23, %2F …')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refuse(`a proxy by ${url.protocol} is not known, only http: and https:`)
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw refuse(
      'there is more than a host and a port; special characters in a password are written as %40, %23, %2F …',
    )
  // Node would ask the port that is meant where none is written
  if (url.port === '0') throw refuse('port 0 leads nowhere')
  const tls = url.protocol === 'https:'
  return Object.freeze({
    host: url.host,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
    tls,
    ...(url.username === '' && url.password === '' ? {} : { authorization: authorizationOf(url, refuse) }),
  })
}

function authorizationOf({ username, password }: URL, refuse: (why: string, cause?: unknown) => ImageError): Secret {
  let user: string
  let secret: string
  try {
    user = decodeURIComponent(username)
    secret = decodeURIComponent(password)
  } catch (cause) {
    throw refuse('user or password is not percent-encoded', cause)
  }
  if (user.includes(':')) throw refuse('a colon in the user’s name, which Basic has no form for')
  return new Secret(Buffer.from(`Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`))
}
