import type { lookup as systemLookup } from 'node:dns'
import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/json.ts'
import { type ImageReference, referenceText, type RepositoryName } from '../oci/reference.ts'
import { Endpoint } from './endpoint.ts'
import { HttpClient } from './http.ts'
import { checkedLeastRate, type LeastRate } from './least-rate.ts'
import { proxyChooser, type ProxySettings } from './proxy-settings.ts'
import {
  assertNotBlocked,
  checkHosts,
  type Credentials,
  type Mirror,
  type RegistryHost,
  rulesFor,
} from './registry-config.ts'
import { type FetchedManifest, type PassedOver, RepositoryReader } from './repository.ts'
import { readAll } from './read-all.ts'
import { DEFAULT_RETRY, type RetryRules } from './retry.ts'

export interface RegistryClientOptions {
  /** By host, as references write it. A host that is not listed is spoken to by TLS, at public addresses only. */
  readonly hosts?: Readonly<Record<string, RegistryHost>>
  /** Chosen by the whole repository name: a credential for one namespace is not shown for another. None unless told. */
  readonly credentials?: (name: RepositoryName) => Credentials | undefined
  readonly retry?: Partial<RetryRules>
  /** How long a connection may be silent; 60 unless told. */
  readonly idleSeconds?: number
  /** What a registry must send at the least; 500 bytes a second over a minute of waiting unless told. */
  readonly leastRate?: Partial<LeastRate>
  /** The proxy that leads out of this network; none unless told: no environment is read. */
  readonly proxy?: ProxySettings
  /**
   * Told of each mirror that another was asked for, other than for what it lacks: one that is down or lies would stay so
   * unseen, since what it sent is never used. Once for each mirror and code.
   */
  readonly onPassedOver?: (passed: PassedOver) => void
  /** For tests: milliseconds of a clock that never goes back. */
  readonly now?: () => number
  /** For tests: the name service. */
  readonly lookup?: typeof systemLookup
}

/** A reference that stands for one content from here on. */
export interface PinnedReference {
  /** As the caller wrote it, for policies and messages. */
  readonly asked: ImageReference
  readonly digest: Digest
  readonly manifest: FetchedManifest
}

/** Speaks the distribution protocol under H13's rules: see `RegistryHost` for what a host may do. */
export class RegistryClient {
  readonly #hosts: ReadonlyMap<string, RegistryHost>
  readonly #http: HttpClient
  readonly #retry: RetryRules
  readonly #credentials: (name: RepositoryName) => Credentials | undefined
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #onPassedOver: (passed: PassedOver) => void
  readonly #told = new Set<string>()

  /** @throws {ImageError} `registry.address` for hosts, `proxy.settings` for a proxy that cannot be read. */
  constructor(options: RegistryClientOptions = {}) {
    this.#hosts = checkHosts(options.hosts ?? {})
    this.#http = new HttpClient({
      idleSeconds: options.idleSeconds ?? 60,
      leastRate: checkedLeastRate(options.leastRate ?? {}),
      now: options.now ?? (() => performance.now()),
      lookup: options.lookup,
      proxyFor: proxyChooser(options.proxy ?? {}),
      proxyRules: (host) => rulesFor(this.#hosts, host),
    })
    this.#retry = { ...DEFAULT_RETRY, ...options.retry }
    this.#credentials = options.credentials ?? (() => undefined)
    this.#onPassedOver = options.onPassedOver ?? (() => undefined)
  }

  /** One repository on its own registry; for uploads, referrers and everything that is not plain reading. */
  endpoint(name: RepositoryName): Endpoint {
    const key = `${name.registry}/${name.path}`
    const known = this.#endpoints.get(key)
    if (known !== undefined) return known
    const endpoint = new Endpoint(
      { registry: name.registry, path: name.path },
      {
        http: this.#http,
        rules: rulesFor(this.#hosts, name.registry),
        retry: this.#retry,
        credentials: this.#credentials,
        now: Date.now,
      },
    )
    this.#endpoints.set(key, endpoint)
    return endpoint
  }

  /** Reading, mirrors first. */
  reader(name: RepositoryName, signal?: AbortSignal): RepositoryReader {
    const mirrors = rulesFor(this.#hosts, name.registry).mirrors ?? []
    const endpoints = mirrors.map((mirror) => this.endpoint(mirrored(name, mirror)))
    return new RepositoryReader(this.endpoint(name), endpoints, signal, (passed) => {
      const event = `${passed.mirror} ${passed.reason.code}`
      if (!this.#told.has(event)) this.#onPassedOver(passed)
      this.#told.add(event)
    })
  }

  /**
   * Settles what a reference means, once (H01). With a digest that is what counts, and a tag beside it is only a
   * remark; without, the tag is asked for a single time.
   *
   * @throws {ImageError} `reference.malformed` when there is neither.
   */
  async pin(reference: ImageReference, signal?: AbortSignal): Promise<PinnedReference> {
    const reader = this.reader(reference, signal)
    if (reference.digest !== undefined) {
      const manifest = await reader.readManifest(reference.digest, MAX_MANIFEST_BYTES)
      return { asked: reference, digest: reference.digest, manifest }
    }
    if (reference.tag === undefined)
      throw new ImageError('reference.malformed', `${referenceText(reference)} has neither tag nor digest`)
    const manifest = await reader.readTag(reference.tag)
    return { asked: reference, digest: manifest.digest, manifest }
  }

  /**
   * One small file from a host that is no registry, such as a store of signatures, under the same rules as registries:
   * public TLS unless the host is listed, no credentials, no redirects.
   *
   * @returns undefined when it is not there.
   * @throws {ImageError} `registry.address`, `registry.unavailable`, `registry.protocol`, `document.too-large`.
   */
  async readFile(url: URL, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const rules = rulesFor(this.#hosts, url.host)
    assertNotBlocked(url.host, rules)
    const response = await this.#http.send({ method: 'GET', url, ...(signal === undefined ? {} : { signal }) }, rules)
    if (response.status === 200) return readAll(response.body, maxBytes, url.href)
    response.discard()
    if (response.status === 404 || response.status === 410) return undefined
    throw new ImageError(
      response.status >= 500 ? 'registry.unavailable' : 'registry.protocol',
      `${url.href}: status ${response.status}`,
    )
  }

  /** Ends idle connections. */
  close(): void {
    this.#http.close()
  }
}

function mirrored(name: RepositoryName, mirror: Mirror): RepositoryName {
  return {
    registry: mirror.registry,
    path: mirror.pathPrefix === undefined ? name.path : `${mirror.pathPrefix}/${name.path}`,
  }
}
