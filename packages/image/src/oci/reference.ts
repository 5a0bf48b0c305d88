import { ImageError } from '../errors.ts'
import { type Digest, parseDigest } from './digest.ts'

/** Where an image is kept, in normal form: `docker.io/library/debian`. */
export interface RepositoryName {
  /** Host with its port, lower case: `registry.example:5000`. */
  readonly registry: string
  /** Path in the registry: `library/debian`. */
  readonly path: string
}

/** A name with what was asked of it. With both, the digest is what counts. */
export interface ImageReference extends RepositoryName {
  readonly tag?: string
  readonly digest?: Digest
}

const HOST =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]{2,45}\])(?::([0-9]{1,5}))?$/
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/**
 * Reads a reference as people write it: without a host it is on docker.io, without a path there in `library`. No tag
 * is added: who wants `latest` asks for it.
 *
 * @throws {ImageError} `reference.malformed`, `digest.*`.
 * @source distribution reference grammar; Docker's normalisation of short names
 */
export function parseReference(text: string): ImageReference {
  const at = text.indexOf('@')
  const named = at < 0 ? text : text.slice(0, at)
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1), 'reference')
  const slash = named.indexOf('/')
  const first = slash < 0 ? '' : named.slice(0, slash)
  // a first part is a host only with a dot or a port in it, or as "localhost"
  const hasHost = first === 'localhost' || /[.:]/.test(first)
  const rest = hasHost ? named.slice(slash + 1) : named
  const colon = rest.lastIndexOf(':')
  const tag = colon < 0 ? undefined : rest.slice(colon + 1)
  const written = colon < 0 ? rest : rest.slice(0, colon)
  const registry = hasHost ? normalHost(first) : 'docker.io'
  const path = registry === 'docker.io' && !written.includes('/') ? `library/${written}` : written
  const shown = JSON.stringify(text.slice(0, 300))
  if (!isHost(registry)) throw new ImageError('reference.malformed', `${shown}: ${JSON.stringify(first)} is not a host`)
  if (!PATH.test(path) || registry.length + 1 + path.length > 255)
    throw new ImageError('reference.malformed', `${shown}: ${JSON.stringify(path)} is not a repository path`)
  if (/^[0-9a-f]{64}$/.test(named)) throw new ImageError('reference.malformed', `${shown}: a bare digest is not a name`)
  if (tag !== undefined) assertTag(tag)
  return { registry, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

/** @throws {ImageError} `reference.malformed` unless it is at most 128 letters, digits, `_`, `.` and `-`. */
export function assertTag(tag: string): void {
  if (!TAG.test(tag)) throw new ImageError('reference.malformed', `${JSON.stringify(tag.slice(0, 140))} is not a tag`)
}

/** Host, optionally with a port; no user information, no path. */
export function isHost(text: string): boolean {
  const match = HOST.exec(text)
  return match !== null && (match[1] === undefined || (Number(match[1]) > 0 && Number(match[1]) < 65536))
}

export function repositoryText(name: RepositoryName): string {
  return `${name.registry}/${name.path}`
}

/** `registry/path[:tag][@digest]`, which reads back as the same. */
export function referenceText(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return repositoryText(reference) + tag + digest
}

/** Lower case, and one name for Docker's registry. */
export function normalHost(host: string): string {
  const lower = host.toLowerCase()
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? 'docker.io' : lower
}
