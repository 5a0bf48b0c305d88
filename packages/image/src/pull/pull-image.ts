import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import {
  type ImageSource,
  resolveConfig,
  type ResolvedImage,
  resolveManifest,
  type ResolvedManifest,
} from '../oci/chain.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import { type ImageReference, referenceText } from '../oci/reference.ts'
import type { Dropped } from '../unpack/apply-layer.ts'
import type { Ownership } from '../unpack/disk.ts'
import { DEFAULT_UNPACK_LIMITS, Meter, type UnpackLimits } from '../unpack/limits.ts'
import { type EncryptionRules, openLayers, type ReadableLayer, storedUse } from '../unpack/open-layer.ts'
import { removeTree } from '../unpack/owner-access.ts'
import type { UnpackProfile } from '../unpack/profile.ts'
import { SpecialNodes } from '../unpack/special-nodes.ts'
import { Tree } from '../unpack/tree.ts'
import { type UnpackOptions, type UnpackReport, unpackResolved } from '../unpack/unpack-image.ts'
import { unpackLayer } from '../unpack/unpack-layer.ts'
import { snapshotIds } from './chain-id.ts'
import { LayerFetcher } from './fetch-layers.ts'
import { replayListing } from './listing.ts'
import { OverlayDisk } from './overlay-disk.ts'
import type { LayerCheck, SnapshotStore } from './store.ts'
import type { StoredImage } from './stored-image.ts'

/** What a policy judges. Nothing behind the manifest was fetched yet. */
export interface PullSubject extends ResolvedManifest {
  /** As the user wrote it, never a mirror's name. */
  readonly asked: ImageReference
}

export type PullAnswer =
  { readonly kind: 'accept' } | { readonly kind: 'refuse'; readonly reasons: readonly [string, ...string[]] }

/** Accepts or refuses an image for the name it was asked by. Asked on every pull, also when all is stored (GU-16). */
export type PullPolicy = (subject: PullSubject) => Promise<PullAnswer>

export interface PullRequest extends EncryptionRules {
  readonly source: ImageSource
  readonly asked: ImageReference
  /** What the reference was settled to, once (H01). */
  readonly digest: Digest
  /** There is no default: who wants to accept everything says so. */
  readonly policy: PullPolicy
  readonly platform?: Platform
  readonly limits?: Partial<UnpackLimits>
  readonly ownership?: Ownership
  /** Blobs fetched side by side; 3 unless told. */
  readonly parallel?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: PullProgress) => void
}

export interface PullProgress {
  readonly phase: 'fetch' | 'unpack' | 'reuse'
  readonly layer: number
  readonly layers: number
  /** Of this layer, as it is stored. */
  readonly bytes: number
  readonly size: number
}

export interface PullReport {
  readonly image: ResolvedImage
  readonly stored: StoredImage
  /** For an overlay mount, topmost first. */
  readonly lowerDirs: readonly string[]
  readonly reusedLayers: number
  /** Snapshots that were no longer what was unpacked, and were made again: somebody or something changed the store. */
  readonly repaired: readonly { readonly chainId: Digest; readonly difference: string }[]
  /** What the profile left out of the layers unpacked now, the first thousand. */
  readonly dropped: readonly Dropped[]
}

const MAX_DROPPED = 1000

/**
 * Pulls into the local store: policy, configuration, keys, then each layer that is not there yet: fetch, verify,
 * decrypt, decompress, unpack. Snapshots that are there are compared with what was unpacked before they count.
 *
 * @throws {ImageError} `policy.refused` with all reasons, and what the steps throw. Nothing of the image is then in the
 *   store, except whole layers that are named by their digest.
 */
export async function pullToStore(
  store: SnapshotStore,
  profile: UnpackProfile,
  request: PullRequest,
): Promise<PullReport> {
  const { image, layers } = await admit(request)
  const chain = snapshotIds(layers)
  using _ = store.hold(chain)
  const limits = { ...DEFAULT_UNPACK_LIMITS, ...request.limits }
  const meter = new Meter(limits)
  for (const { layer } of layers) meter.checkStored(layer.descriptor)
  const checks = chain.map((chainId) => ({ chainId, check: store.checkLayer(chainId) }))
  const work: Work = {
    store,
    profile,
    request,
    layers,
    chain,
    tree: new Tree(limits.maxDepth),
    meter,
    dropped: [],
  }
  await assemble(
    work,
    checks.map(({ check }) => check),
  )
  const stored = store.putImage(
    {
      manifestDigest: image.manifestDigest,
      configDigest: image.configDigest,
      diffIds: image.config.diffIds,
      chain,
      manifest: Buffer.from(image.manifestBytes).toString('base64'),
      config: Buffer.from(image.configBytes).toString('base64'),
    },
    referenceText(request.asked),
  )
  return {
    image,
    stored,
    lowerDirs: store.lowerDirs(stored),
    reusedLayers: checks.filter(({ check }) => check.kind === 'intact').length,
    repaired: checks.flatMap(({ chainId, check }) =>
      check.kind === 'corrupt' ? [{ chainId, difference: check.difference }] : [],
    ),
    dropped: work.dropped,
  }
}

/** The same into a plain directory, as `unpackImage` does it. */
export async function pullToDirectory(
  targetDir: string,
  request: PullRequest & Pick<UnpackOptions, 'profile'>,
): Promise<UnpackReport> {
  const image = await acceptImage(request)
  const layers = image.layers.length
  const { onProgress, ...rest } = request
  return unpackResolved(request.source, image, targetDir, {
    ...rest,
    onProgress: ({ layer, bytes }) =>
      onProgress?.({ phase: 'unpack', layer, layers, bytes, size: image.layers[layer]?.descriptor.size ?? 0 }),
  })
}

/** Manifest, policy, configuration, keys: in that order, and each only when the one before it agreed. */
async function admit(request: PullRequest): Promise<{ image: ResolvedImage; layers: readonly ReadableLayer[] }> {
  const image = await acceptImage(request)
  return { image, layers: await openLayers(image.layers, request) }
}

/**
 * The first half of a pull: manifest by digest, policy, and only where that accepts the configuration. No layer was
 * fetched and no key was asked for. `unpackResolved` is the second half.
 *
 * @throws {ImageError} `policy.refused` with all reasons, and what the steps throw.
 */
export async function acceptImage(
  request: Pick<PullRequest, 'source' | 'asked' | 'digest' | 'policy' | 'platform'>,
): Promise<ResolvedImage> {
  const platform = request.platform ?? { os: 'linux', architecture: 'amd64' }
  const at = await resolveManifest(request.source, request.digest, platform)
  const answer = await request.policy({ ...at, asked: request.asked })
  if (answer.kind !== 'accept')
    throw new ImageError('policy.refused', `${referenceText(request.asked)}: ${answer.reasons.join('; ')}`)
  return resolveConfig(request.source, at)
}

interface Work {
  readonly store: SnapshotStore
  readonly profile: UnpackProfile
  readonly request: PullRequest
  readonly layers: readonly ReadableLayer[]
  readonly chain: readonly Digest[]
  /** The layers so far, one on top of the other. */
  readonly tree: Tree
  readonly meter: Meter
  readonly dropped: Dropped[]
}

/** Brings all layers into tree and store, lowest first: stored ones by their listing, the others by unpacking. */
async function assemble(work: Work, checks: readonly LayerCheck[]): Promise<void> {
  const { request, store } = work
  const missing = work.layers.flatMap((_, number) => (checks[number]?.kind === 'intact' ? [] : [number]))
  const staging = store.staging()
  const fetched = new Map<number, number>()
  const fetcher = new LayerFetcher(
    missing.flatMap((number) => work.layers[number]?.layer.descriptor ?? []),
    {
      source: request.source,
      directory: staging,
      parallel: request.parallel ?? 3,
      signal: request.signal,
      onBytes: (position, bytes) => {
        const number = missing[position] ?? 0
        const sum = (fetched.get(number) ?? 0) + bytes
        fetched.set(number, sum)
        report(work, 'fetch', number, sum)
      },
    },
  )
  try {
    for (const [number, readable] of work.layers.entries()) {
      const check = checks[number]
      const { descriptor } = readable.layer
      if (check?.kind === 'intact') {
        replayListing(work.tree, check.entries, number)
        report(work, 'reuse', number, descriptor.size)
        continue
      }
      const isLocal = request.source.isLocal === true
      const stored = isLocal
        ? request.source.openBlob(descriptor, storedUse(readable))
        : fetcher.take(missing.indexOf(number))
      await unpackOne(work, number, readable, stored)
    }
  } finally {
    fetcher.stop()
    removeTree(staging)
  }
}

async function unpackOne(
  work: Work,
  number: number,
  readable: ReadableLayer,
  stored: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { store, tree, request, chain } = work
  const staged = store.staging()
  try {
    const root = path.join(staged, 'diff')
    mkdirSync(root, { mode: 0o700 })
    const scratch = path.join(staged, 'scratch')
    mkdirSync(scratch, { mode: 0o700 })
    const special = new SpecialNodes(scratch)
    const lower = chain.slice(0, number).map((chainId) => store.layerRoot(chainId))
    const ownership = request.ownership ?? (process.getuid?.() === 0 ? 'apply' : 'squash')
    const { meter, profile } = work
    const disk = new OverlayDisk(root, ownership, { tree, special, lower, meter, profile })
    const ports = {
      tree,
      disk,
      special,
      meter,
      profile,
      onDropped: (drop: Dropped) => {
        if (work.dropped.length < MAX_DROPPED) work.dropped.push(drop)
      },
    }
    let bytes = 0
    const onBytes = (more: number) => report(work, 'unpack', number, (bytes += more))
    await unpackLayer({ readable, stored, number }, ports, { onBytes, signal: request.signal })
    disk.describeMade()
    rmSync(scratch, { recursive: true, force: true })
    const chainId = chain[number]
    if (chainId !== undefined) store.addLayer(chainId, staged)
  } finally {
    removeTree(staged)
  }
}

function report(work: Work, phase: PullProgress['phase'], layer: number, bytes: number): void {
  const size = work.layers[layer]?.layer.descriptor.size ?? 0
  work.request.onProgress?.({ phase, layer, layers: work.chain.length, bytes, size })
}
