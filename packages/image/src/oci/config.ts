import { ImageError } from '../errors.ts'
import { type Digest, parseDigest } from './digest.ts'
import {
  asArray,
  asObject,
  asString,
  asStringList,
  asStringMap,
  MAX_CONFIG_BYTES,
  member,
  optional,
  parseJsonObject,
} from './json.ts'
import { parsePlatform, type Platform } from './platform.ts'

/** What a container is started with, as the image's author wrote it. */
export interface ExecutionConfig {
  readonly entrypoint: readonly string[]
  /** The arguments after the entrypoint (`Cmd`). */
  readonly args: readonly string[]
  /** `NAME=value`, in the document's order. */
  readonly env: readonly string[]
  readonly labels: ReadonlyMap<string, string>
  /** `user`, `uid`, `user:group` or `uid:gid`; empty means root. */
  readonly user: string
  /** Empty means `/`. */
  readonly workingDir: string
  /** `80/tcp`, sorted. */
  readonly exposedPorts: readonly string[]
  /** Directories, sorted. */
  readonly volumes: readonly string[]
  readonly stopSignal?: string
}

/** What is used of an image configuration; other members are passed over. */
export interface ImageConfig {
  readonly platform: Platform
  /** Digest of each layer's uncompressed tar, lowest first. */
  readonly diffIds: readonly Digest[]
  readonly execution: ExecutionConfig
  readonly created?: string
  readonly author?: string
}

/**
 * Reads an image configuration whose bytes were verified already.
 *
 * @throws {ImageError} `document.malformed`, `document.too-large`, `digest.*`.
 * @source OCI image specification, config
 */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const object = parseJsonObject(bytes, what, MAX_CONFIG_BYTES)
  const rootfs = asObject(member(object, 'rootfs', what), `${what}.rootfs`)
  if (member(rootfs, 'type', `${what}.rootfs`) !== 'layers')
    throw new ImageError('document.malformed', `${what}.rootfs.type: not "layers"`)
  const diffIds = asArray(member(rootfs, 'diff_ids', `${what}.rootfs`), `${what}.rootfs.diff_ids`, 512)
  const created = optional(object, 'created', what, asString)
  const author = optional(object, 'author', what, asString)
  return {
    platform: parsePlatform(object, what),
    diffIds: diffIds.map((id, i) => parseDigest(id, `${what}.rootfs.diff_ids[${i}]`)),
    execution: parseExecution(member(object, 'config', what) ?? {}, `${what}.config`),
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
  }
}

function parseExecution(value: unknown, what: string): ExecutionConfig {
  const object = asObject(value, what)
  const strings = (name: string) => optional(object, name, what, asStringList) ?? []
  const text = (name: string) => optional(object, name, what, asString) ?? ''
  const names = (name: string) => Object.keys(optional(object, name, what, asObject) ?? {}).sort()
  const env = strings('Env')
  for (const entry of env)
    if (!/^[^=\0]+=[^\0]*$/s.test(entry))
      throw new ImageError('document.malformed', `${what}.Env: ${JSON.stringify(entry.slice(0, 80))} is not NAME=value`)
  const stopSignal = text('StopSignal')
  return {
    entrypoint: strings('Entrypoint'),
    args: strings('Cmd'),
    env,
    labels: optional(object, 'Labels', what, asStringMap) ?? new Map(),
    user: text('User'),
    workingDir: text('WorkingDir'),
    exposedPorts: names('ExposedPorts'),
    volumes: names('Volumes'),
    ...(stopSignal === '' ? {} : { stopSignal }),
  }
}
