import { ImageError } from '../errors.ts'
import { isHost } from '../oci/reference.ts'

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
  'docker.io': { realmHosts: ['auth.docker.io'], redirectHosts: ['production.cloudflare.docker.com'] },
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

/** @throws {ImageError} `registry.address` on names that are no hosts and on members that do not exist. */
export function checkHosts(hosts: Readonly<Record<string, RegistryHost>>): ReadonlyMap<string, RegistryHost> {
  for (const [name, host] of Object.entries(hosts)) {
    for (const text of [name, ...(host.realmHosts ?? []), ...(host.mirrors ?? []).map((mirror) => mirror.registry)])
      if (!isHost(text)) throw new ImageError('registry.address', `${JSON.stringify(text)} is not a host`)
    for (const text of host.redirectHosts ?? [])
      if (!isHost(text.replace(/^\*\./, '')))
        throw new ImageError('registry.address', `${JSON.stringify(text)} is not a host`)
    for (const member of Object.keys(host))
      if (!MEMBERS.has(member)) throw new ImageError('registry.address', `registry ${name}: unknown member ${member}`)
  }
  return new Map([...Object.entries(PUBLIC_REGISTRIES), ...Object.entries(hosts)])
}
