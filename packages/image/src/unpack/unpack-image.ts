import { lstatSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type ImageSource, type ResolvedImage, resolveImage } from '../oci/chain.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import type { ApplyPorts, Dropped } from './apply-layer.ts'
import { Disk, type Ownership } from './disk.ts'
import { DEFAULT_UNPACK_LIMITS, Meter, type UnpackLimits } from './limits.ts'
import { removeTree } from './owner-access.ts'
import { HARDENED, type UnpackProfile } from './profile.ts'
import { type EncryptionRules, openLayers, type ReadableLayer, storedUse } from './open-layer.ts'
import { SpecialNodes } from './special-nodes.ts'
import { join, type Place, Tree } from './tree.ts'
import { unpackLayer } from './unpack-layer.ts'

export interface UnpackOptions extends EncryptionRules {
  /** `linux/amd64` unless told. */
  readonly platform?: Platform
  /** `HARDENED` unless told. */
  readonly profile?: UnpackProfile
  /** `DEFAULT_UNPACK_LIMITS`, where a member is left out. */
  readonly limits?: Partial<UnpackLimits>
  /** `apply` for root and `squash` for everybody else, unless told. */
  readonly ownership?: Ownership
  /** Ends the work between two chunks; a timeout goes here (H10). */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { readonly layer: number; readonly layers: number; readonly bytes: number }) => void
}

export interface UnpackReport {
  readonly image: ResolvedImage
  readonly entries: number
  readonly bytes: number
  /** What the profile left out, the first thousand. */
  readonly dropped: readonly Dropped[]
  readonly droppedCount: number
}

const MAX_DROPPED = 1000

/**
 * Unpacks an image into a directory that does not exist yet.
 *
 * Everything is staged in a private directory beside the target: documents are verified by digest, each layer's blob
 * and archive likewise, and only when all of that held does the tree get its name, in one rename. On any error the
 * staging directory is removed and the target was never there.
 *
 * @throws {ImageError} `unpack.*`, `tar.*`, `compression.*`, `digest.*`, `chain.*`, `encryption.*`, `aborted`.
 * @source OCI image specification, layer: applying changesets
 */
export async function unpackImage(
  source: ImageSource,
  digest: Digest,
  targetDir: string,
  options: UnpackOptions = {},
): Promise<UnpackReport> {
  const platform = options.platform ?? { os: 'linux', architecture: 'amd64' }
  assertAbsent(path.resolve(targetDir))
  const image = await resolveImage(source, digest, { platform })
  return unpackResolved(source, image, targetDir, options)
}

/** The second half of `unpackImage`, for an image whose documents are verified, and accepted if need be. */
export async function unpackResolved(
  source: ImageSource,
  image: ResolvedImage,
  targetDir: string,
  options: UnpackOptions,
): Promise<UnpackReport> {
  const target = path.resolve(targetDir)
  assertAbsent(target)
  const layers = await openLayers(image.layers, options)
  const staging = makeStaging(target)
  try {
    const root = path.join(staging, 'rootfs')
    mkdirSync(root, { mode: 0o700 })
    const report = await unpackInto(source, { image, layers, staging, root }, options)
    renameSync(root, target)
    return report
  } finally {
    removeTree(staging)
  }
}

async function unpackInto(
  source: ImageSource,
  job: {
    readonly image: ResolvedImage
    readonly layers: readonly ReadableLayer[]
    readonly staging: string
    readonly root: string
  },
  options: UnpackOptions,
): Promise<UnpackReport> {
  const { image, layers, staging, root } = job
  const limits = { ...DEFAULT_UNPACK_LIMITS, ...options.limits }
  const meter = new Meter(limits)
  for (const { layer } of layers) meter.checkStored(layer.descriptor)
  const tree = new Tree(limits.maxDepth)
  const disk = new Disk(root, options.ownership ?? (process.getuid?.() === 0 ? 'apply' : 'squash'))
  const dropped: Dropped[] = []
  let droppedCount = 0
  const ports: ApplyPorts = {
    tree,
    disk,
    special: new SpecialNodes(staging),
    meter,
    profile: options.profile ?? HARDENED,
    onDropped: (drop) => {
      if (++droppedCount <= MAX_DROPPED) dropped.push(drop)
    },
  }
  for (const [number, readable] of layers.entries()) {
    let bytes = 0
    const onBytes = (more: number) =>
      options.onProgress?.({ layer: number, layers: layers.length, bytes: (bytes += more) })
    const stored = source.openBlob(readable.layer.descriptor, storedUse(readable))
    await unpackLayer({ readable, stored, number }, ports, { onBytes, signal: options.signal })
  }
  describeDirectories({ node: tree.root, path: '' }, disk)
  return { image, entries: meter.entries, bytes: meter.totalBytes, dropped, droppedCount }
}

/**
 * Gives directories their owner, mode and time, deepest first: until now all were open to us alone, so a mode cannot
 * lock the unpacker out, and writing into a directory cannot change its time afterwards.
 */
export function describeDirectories(place: Place, disk: Disk): void {
  for (const [name, child] of place.node.children)
    if (child.kind === 'directory') describeDirectories({ node: child, path: join(place.path, name) }, disk)
  disk.describe(place.path, place.node.metadata)
}

function assertAbsent(target: string): void {
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined)
    throw new ImageError('unpack.target', `${target} exists already`)
}

/** Mode 0700 and a name that nobody can guess: nobody else can put a link into it. */
export function makeStaging(target: string): string {
  try {
    return mkdtempSync(`${target}.staging-`)
  } catch (cause) {
    throw new ImageError('unpack.target', `no staging directory beside ${target}: ${(cause as Error).message}`, {
      cause,
    })
  }
}
