import type { ImageSource, ResolvedImage } from '../oci/chain.ts'
import { toDisplay } from '../tar/format.ts'
import { DEFAULT_UNPACK_LIMITS, Meter, type UnpackLimits } from '../unpack/limits.ts'
import { type EncryptionRules, openLayers, storedUse } from '../unpack/open-layer.ts'
import type { UnpackProfile } from '../unpack/profile.ts'
import { Tree } from '../unpack/tree.ts'
import { describeDirectories } from '../unpack/unpack-image.ts'
import { unpackLayer } from '../unpack/unpack-layer.ts'
import { describeNode, type FileFact, RecordingDisk } from './recording-disk.ts'

/** The files of an image as they are after all layers, by their path without a leading slash. */
export interface ImageContents {
  readonly files: ReadonlyMap<string, FileFact>
  /** Content of the files that were asked for. */
  readonly captured: ReadonlyMap<string, Uint8Array>
}

/** Nothing is made, so nothing is left out: what gives power is what a reader must see first. */
const AS_STATED: UnpackProfile = { devices: 'create', fifos: 'create', setuid: 'keep', xattrs: 'keep' }

/**
 * Reads an image's layers without writing anything, each verified by digest.
 *
 * @param options.capture - Files whose content is wanted.
 * @throws {ImageError} as `unpackImage`.
 */
export async function readContents(
  source: ImageSource,
  image: ResolvedImage,
  options: EncryptionRules & {
    readonly capture?: (path: string) => boolean
    readonly limits?: Partial<UnpackLimits>
    readonly signal?: AbortSignal
  } = {},
): Promise<ImageContents> {
  const limits = { ...DEFAULT_UNPACK_LIMITS, ...options.limits }
  const meter = new Meter(limits)
  const layers = await openLayers(image.layers, options)
  for (const { layer } of layers) meter.checkStored(layer.descriptor)
  const tree = new Tree(limits.maxDepth)
  const disk = new RecordingDisk(options.capture ?? (() => false))
  const ports = {
    tree,
    disk,
    special: { make: describeNode },
    meter,
    profile: AS_STATED,
    onDropped: () => undefined,
  }
  for (const [number, readable] of layers.entries()) {
    const stored = source.openBlob(readable.layer.descriptor, storedUse(readable))
    await unpackLayer({ readable, stored, number }, ports, { signal: options.signal })
  }
  describeDirectories({ node: tree.root, path: '' }, disk)
  const shown = <T>(map: ReadonlyMap<string, T>) => new Map([...map].map(([path, value]) => [toDisplay(path), value]))
  return { files: shown(disk.facts), captured: shown(disk.captured) }
}
