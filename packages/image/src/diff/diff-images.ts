import type { ImageConfig } from '../oci/config.ts'
import type { Digest } from '../oci/digest.ts'
import type { ResolvedImage } from '../oci/chain.ts'
import { platformText } from '../oci/platform.ts'
import { type InstalledPackage, listPackages } from './packages.ts'
import type { ImageContents } from './read-contents.ts'
import type { FileFact } from './recording-disk.ts'

/** An image as a person who approves it sees it. */
export interface ImageView {
  readonly image: ResolvedImage
  /** Left out where nobody read the layers: then files and packages are not compared, and the answer says so. */
  readonly contents?: ImageContents
  /** By signer, what they signed or stated of it, verified. Left out where nobody looked: then it is not compared. */
  readonly signatures?: ReadonlyMap<string, string>
}

/** What is called `name` and differs. */
export interface Change<T> {
  readonly name: string
  /** `undefined`: it was not there. */
  readonly before?: T
  readonly after?: T
}

export interface ImageDiff {
  readonly same: boolean
  readonly before: Digest
  readonly after: Digest
  /** Entrypoint, arguments, user, working directory, stop signal, platform, ports, volumes, creation time, author. */
  readonly settings: readonly Change<string>[]
  readonly environment: readonly Change<string>[]
  readonly labels: readonly Change<string>[]
  readonly layers: {
    readonly kept: number
    readonly removed: readonly Digest[]
    readonly added: readonly Digest[]
    /** Same archive, stored otherwise: compressed anew, encrypted. */
    readonly repacked: number
  }
  /** `undefined` where the layers of one side were not read. */
  readonly files: FileDiff | undefined
  readonly packages: readonly Change<string>[] | undefined
  /** By signer; `undefined` where those of one side were not looked for. */
  readonly signatures: readonly Change<string>[] | undefined
}

export interface FileDiff {
  readonly changes: readonly FileChange[]
  readonly total: number
}

export interface FileChange {
  readonly path: string
  readonly before?: FileFact
  readonly after?: FileFact
  /** What differs, in words: `content`, `mode`, `owner`, `kind`, `target`, `device`, `attributes`. Empty for added and removed files. */
  readonly what: readonly string[]
}

/** Changes listed one by one; `total` counts all. */
const MAX_FILE_CHANGES = 10_000

/** What changed from one image to another. Pure: everything it says follows from its arguments. */
export function diffImages(before: ImageView, after: ImageView): ImageDiff {
  const [a, b] = [before.image, after.image]
  const settings = compareMaps(settingsOf(a.config), settingsOf(b.config))
  const environment = compareMaps(environmentOf(a.config), environmentOf(b.config))
  const labels = compareMaps(a.config.execution.labels, b.config.execution.labels)
  const [one, two] = [before.contents, after.contents]
  return {
    same: a.manifestDigest === b.manifestDigest,
    before: a.manifestDigest,
    after: b.manifestDigest,
    settings,
    environment,
    labels,
    layers: diffLayers(a, b),
    files: one === undefined || two === undefined ? undefined : diffFiles(one.files, two.files),
    packages:
      one === undefined || two === undefined
        ? undefined
        : compareMaps(packagesOf(listPackages(one.captured)), packagesOf(listPackages(two.captured))),
    signatures:
      before.signatures === undefined || after.signatures === undefined
        ? undefined
        : compareMaps(before.signatures, after.signatures),
  }
}

/** Names of either side, sorted; equal values are left out. */
function compareMaps(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly Change<string>[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)]
    if (was === is) return []
    return [{ name, ...(was === undefined ? {} : { before: was }), ...(is === undefined ? {} : { after: is }) }]
  })
}

function settingsOf({ execution, platform, created, author }: ImageConfig): ReadonlyMap<string, string> {
  const list = (values: readonly string[]) => (values.length === 0 ? undefined : JSON.stringify(values))
  const all: readonly (readonly [string, string | undefined])[] = [
    ['entrypoint', list(execution.entrypoint)],
    ['args', list(execution.args)],
    ['user', execution.user || undefined],
    ['workingDir', execution.workingDir || undefined],
    ['stopSignal', execution.stopSignal],
    ['exposedPorts', list(execution.exposedPorts)],
    ['volumes', list(execution.volumes)],
    ['platform', platformText(platform)],
    ['created', created],
    ['author', author],
  ]
  return new Map(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
}

function environmentOf({ execution }: ImageConfig): ReadonlyMap<string, string> {
  return new Map(
    execution.env.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )
}

/** By name and architecture: a new version is a change, not a removal and an addition. Several versions stand side by side. */
function packagesOf(packages: readonly InstalledPackage[]): ReadonlyMap<string, string> {
  const versions = new Map<string, string[]>()
  for (const { system, name, version, architecture } of packages) {
    const key = `${system}:${name}${architecture === undefined ? '' : `:${architecture}`}`
    versions.set(key, [...(versions.get(key) ?? []), version])
  }
  return new Map([...versions].map(([key, list]) => [key, list.sort().join(', ')]))
}

function diffLayers(a: ResolvedImage, b: ResolvedImage): ImageDiff['layers'] {
  const left = b.layers.map((layer) => layer.diffId)
  const stored = new Set(b.layers.map((layer) => layer.descriptor.digest))
  const removed: Digest[] = []
  let kept = 0
  let repacked = 0
  for (const { diffId, descriptor } of a.layers) {
    const at = left.indexOf(diffId)
    if (at < 0) {
      removed.push(diffId)
      continue
    }
    left.splice(at, 1)
    kept++
    if (!stored.has(descriptor.digest)) repacked++
  }
  return { kept, removed, added: left, repacked }
}

function diffFiles(before: ImageContents['files'], after: ImageContents['files']): FileDiff {
  const changes: FileChange[] = []
  let total = 0
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [was, is] = [before.get(path), after.get(path)]
    const what = was === undefined || is === undefined ? [] : differences(was, is)
    if (was !== undefined && is !== undefined && what.length === 0) continue
    total++
    if (changes.length < MAX_FILE_CHANGES)
      changes.push({
        path,
        what,
        ...(was === undefined ? {} : { before: was }),
        ...(is === undefined ? {} : { after: is }),
      })
  }
  return { changes, total }
}

const CONTENT_OF = { file: 'content', directory: 'content', symlink: 'target', special: 'device' } as const

function differences(a: FileFact, b: FileFact): readonly string[] {
  if (a.kind !== b.kind) return ['kind']
  return [
    ...(a.content === b.content ? [] : [CONTENT_OF[a.kind]]),
    ...(a.mode === b.mode ? [] : ['mode']),
    ...(a.uid === b.uid && a.gid === b.gid ? [] : ['owner']),
    ...(JSON.stringify(a.attributes) === JSON.stringify(b.attributes) ? [] : ['attributes']),
  ]
}
