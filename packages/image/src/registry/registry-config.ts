import { ImageError } from '../errors.ts'
import { isHost, normalHost } from '../oci/reference.ts'

/** Sent to the registry, or to the token service it names, if that is one it may name. Nowhere else. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** A refresh token for the registry's token service. */
  | { readonly kind: 'identity-token'; readonly token: string }

/** What is known about one registry host. Everything left out is the strict choice. */
export interface RegistryHost {
  /** Plain HTTP. Credentials then go to loopback only. */
  readonly plainHttp?: boolean
  /** The host may lie in a private or loopback network. Link-local and metadata addresses are refused even so. */
  readonly privateNetwork?: boolean
  /** PEM certificates that replace the system's roots for this host. */
  readonly certificateAuthorities?: readonly string[]
  readonly clientCertificate?: { readonly certificate: string; readonly key: string }
  /** Hosts of token services, besides the registry's own. */
  readonly realmHosts?: readonly string[]
  /** Hosts that blobs may be fetched from after a redirect; `*.name` stands for all below it. Without credentials. */
  readonly redirectHosts?: readonly string[]
  /** Other registries that hold the same content, asked first, in order. Their answers are checked by digest. */
  readonly mirrors?: readonly Mirror[]
  /** Nothing is fetched from here. */
  readonly blocked?: boolean
}

export interface Mirror {
  readonly registry: string
  /** Put in front of the repository's path: `cache/docker.io`. */
  readonly pathPrefix?: string
}

/** Registries that everybody uses, with the hosts they are known to name. Overridden by an own entry. */
export const PUBLIC_REGISTRIES: Readonly<Record<string, RegistryHost>> = {
  'docker.io': {
    realmHosts: ['auth.docker.io'],
    redirectHosts: [
      'production.cloudflare.docker.com',
      'production.cloudfront.docker.com',
      'docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com',
    ],
  },
  'ghcr.io': { redirectHosts: ['pkg-containers.githubusercontent.com'] },
  'quay.io': { redirectHosts: ['*.quay.io'] },
}

/** Where the API of a registry is spoken to; only Docker's differs from its name. */
export function apiHost(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry
}

const MEMBERS: ReadonlySet<string> = new Set([
  'plainHttp',
  'privateNetwork',
  'certificateAuthorities',
  'clientCertificate',
  'realmHosts',
  'redirectHosts',
  'mirrors',
  'blocked',
])

/**
 * @throws {ImageError} `registry.address` on names that are no hosts, on members that do not exist, and on names in another
 *   form than references and URLs come out in: such a rule would never be found, and what it forbids be allowed.
 */
export function checkHosts(hosts: Readonly<Record<string, RegistryHost>>): ReadonlyMap<string, RegistryHost> {
  for (const [name, host] of Object.entries(hosts)) {
    for (const text of [name, ...(host.mirrors ?? []).map((mirror) => mirror.registry)]) assertForm(text, normalHost)
    for (const text of host.realmHosts ?? []) assertForm(text, urlHost)
    for (const text of host.redirectHosts ?? []) assertForm(text.replace(/^\*\./, ''), urlHost)
    for (const member of Object.keys(host))
      if (!MEMBERS.has(member)) throw new ImageError('registry.address', `registry ${name}: unknown member ${member}`)
  }
  return new Map([...Object.entries(PUBLIC_REGISTRIES), ...Object.entries(hosts)])
}

/** The rules for a registry. With the default port written out it is the same host, and under the same rules. */
export function rulesFor(hosts: ReadonlyMap<string, RegistryHost>, registry: string): RegistryHost {
  return hosts.get(registry) ?? hosts.get(registry.replace(/:443$/, '')) ?? {}
}

/** @throws {ImageError} `registry.address`. */
export function assertNotBlocked(host: string, rules: RegistryHost): void {
  if (rules.blocked === true) throw new ImageError('registry.address', `${host} is blocked by its configuration`)
}

function assertForm(text: string, normal: (text: string) => string): void {
  if (!isHost(text)) throw new ImageError('registry.address', `${JSON.stringify(text)} is not a host`)
  if (normal(text) !== text) throw new ImageError('registry.address', `write the host ${text} as ${normal(text)}`)
}

/** Hosts of answers are compared as URLs show them: lower case, without the default port. */
function urlHost(text: string): string {
  return new URL(`https://${text}`).host
}
