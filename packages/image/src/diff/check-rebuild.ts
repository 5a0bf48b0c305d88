import { createHash, type Hash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type BuildRequest, buildImage } from '../build/build-image.ts'
import { ImageLayout } from '../layout/layout.ts'
import { type ImageSource, resolveImage, type ResolvedImage, type ResolvedLayer } from '../oci/chain.ts'
import { type Digest, verifiedWhileRead } from '../oci/digest.ts'
import { toDisplay } from '../tar/format.ts'
import { type TarEntry, TarReader } from '../tar/read-tar.ts'
import { decompressLayer } from '../unpack/decompress.ts'
import { DEFAULT_UNPACK_LIMITS } from '../unpack/limits.ts'
import { diffImages, type ImageDiff } from './diff-images.ts'
import { readContents } from './read-contents.ts'
import { isPackageDatabase } from './packages.ts'

export interface RebuildAnswer {
  /** The rebuilt image has the digest that was claimed. */
  readonly same: boolean
  readonly claimed: Digest
  readonly rebuilt: Digest
  /** Claimed against rebuilt. */
  readonly diff: ImageDiff
  /** For each pair of layers whose archives differ, the first entry that does. */
  readonly layers: readonly LayerDifference[]
  /** What to look at first, in sentences; empty when `same`. */
  readonly causes: readonly string[]
}

export interface LayerDifference {
  /** Position, lowest 0. */
  readonly layer: number
  readonly entry: string
  /** `order`, `content`, `mode`, `owner`, `device`, `attributes`, `time`, `size`, `kind`, `sparse`, `target`, `missing`, `added`, or `encoding`. */
  readonly what: string
  readonly claimed: string
  readonly rebuilt: string
}

/**
 * Builds again and compares with a claimed image (CS-03, H23): the answer to "do these sources make this image?", with
 * the first place where they do not.
 *
 * @throws {ImageError} when the claimed image cannot be read or the build fails. A different digest is an answer.
 */
export async function checkRebuild(
  request: BuildRequest,
  claimed: { readonly source: ImageSource; readonly digest: Digest },
): Promise<RebuildAnswer> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-rebuild-'))
  try {
    const built = await buildImage(request, path.join(scratch, 'layout'))
    const source = await ImageLayout.open(path.join(scratch, 'layout'))
    const platform = request.platform ?? { os: 'linux', architecture: 'amd64' }
    const [before, after] = [
      await resolveImage(claimed.source, claimed.digest, { platform }),
      await resolveImage(source, built.digest, { platform }),
    ]
    const same = before.manifestDigest === after.manifestDigest
    const capture = isPackageDatabase
    const diff = diffImages(
      { image: before, ...(same ? {} : { contents: await readContents(claimed.source, before, { capture }) }) },
      { image: after, ...(same ? {} : { contents: await readContents(source, after, { capture }) }) },
    )
    const layers = same ? [] : await diffArchives({ source: claimed.source, image: before }, { source, image: after })
    const causes = same ? [] : explain(before, after, diff, layers)
    return { same, claimed: before.manifestDigest, rebuilt: after.manifestDigest, diff, layers, causes }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

interface Side {
  readonly source: ImageSource
  readonly image: ResolvedImage
}

async function diffArchives(claimed: Side, rebuilt: Side): Promise<readonly LayerDifference[]> {
  const found: LayerDifference[] = []
  for (const [number, a] of claimed.image.layers.entries()) {
    const b = rebuilt.image.layers[number]
    if (b === undefined || a.diffId === b.diffId) continue
    const [one, two] = [await listEntries(claimed.source, a), await listEntries(rebuilt.source, b)]
    found.push({ layer: number, ...firstDifference(one, two) })
  }
  return found
}

interface Line {
  readonly path: string
  readonly facts: Readonly<
    Record<
      'kind' | 'size' | 'sparse' | 'content' | 'target' | 'mode' | 'owner' | 'device' | 'attributes' | 'time',
      string
    >
  >
}

function firstDifference(one: readonly Line[], two: readonly Line[]): Omit<LayerDifference, 'layer'> {
  const at = one.findIndex((line, i) => JSON.stringify(line) !== JSON.stringify(two[i]))
  const [a, b] = at < 0 ? [undefined, two[one.length]] : [one[at], two[at]]
  if (a === undefined && b === undefined)
    return { entry: '', what: 'encoding', claimed: 'the same entries', rebuilt: 'in another form of the archive' }
  if (a !== undefined && b !== undefined && a.path === b.path)
    for (const [what, value] of Object.entries(a.facts)) {
      const other = b.facts[what as keyof Line['facts']]
      if (value !== other) return { entry: a.path, what, claimed: value, rebuilt: other }
    }
  const [left, right] = [new Set(one.map((line) => line.path)), new Set(two.map((line) => line.path))]
  if (a !== undefined && !right.has(a.path))
    return { entry: a.path, what: 'missing', claimed: 'there', rebuilt: 'not there' }
  if (b !== undefined && !left.has(b.path))
    return { entry: b.path, what: 'added', claimed: 'not there', rebuilt: 'there' }
  return { entry: a?.path ?? '', what: 'order', claimed: a?.path ?? '', rebuilt: b?.path ?? '' }
}

async function listEntries(source: ImageSource, layer: ResolvedLayer): Promise<readonly Line[]> {
  const lines: Line[] = []
  let hash: Hash = createHash('sha256')
  let end = 0
  let current: TarEntry | undefined
  const reader = new TarReader({
    begin: (entry) => {
      current = entry
      hash = createHash('sha256')
      end = 0
    },
    data: (chunk, offset) => {
      // a hole counts by its place, not by its zeros: there may be any number of them
      if (offset !== end) hash.update(`hole up to ${offset}`)
      end = offset + chunk.length
      hash.update(chunk)
    },
    end: () => {
      if (current !== undefined) lines.push(toLine(current, hash.digest('hex')))
    },
  })
  const blob = verifiedWhileRead(
    source.openBlob(layer.descriptor),
    layer.descriptor,
    `layer ${layer.descriptor.digest}`,
  )
  for await (const chunk of decompressLayer(blob, layer.form.compression, DEFAULT_UNPACK_LIMITS)) reader.push(chunk)
  reader.finish()
  return lines
}

function toLine(entry: TarEntry, content: string): Line {
  return {
    path: toDisplay(entry.path),
    facts: {
      kind: entry.kind,
      size: String(entry.size),
      sparse: entry.sparse ? 'yes' : 'no',
      content: entry.kind === 'file' ? content : '',
      target: toDisplay(entry.linkTarget),
      mode: entry.mode.toString(8),
      owner: `${entry.uid}:${entry.gid}`,
      device: `${entry.deviceMajor}:${entry.deviceMinor}`,
      attributes: [...entry.xattrs]
        .map(([name, value]) => `${toDisplay(name)}=${Buffer.from(value).toString('hex')}`)
        .join(' '),
      time: `${entry.mtime.seconds}.${String(entry.mtime.nanoseconds).padStart(9, '0')}`,
    },
  }
}

function explain(
  before: ResolvedImage,
  after: ResolvedImage,
  diff: ImageDiff,
  layers: readonly LayerDifference[],
): readonly string[] {
  const causes: string[] = []
  if (before.layers.length !== after.layers.length)
    causes.push(`the claimed image has ${before.layers.length} layers, the rebuilt one ${after.layers.length}`)
  for (const { layer, entry, what, claimed, rebuilt } of layers)
    causes.push(`layer ${layer}${entry === '' ? '' : `, ${entry}`}: ${what}: claimed ${claimed}, rebuilt ${rebuilt}`)
  if (diff.layers.repacked > 0)
    causes.push(
      `${diff.layers.repacked} layers hold the same archive in other bytes: another compressor or version of it; with compression "none" that cannot happen`,
    )
  for (const { name, before: was, after: is } of [...diff.settings, ...diff.environment, ...diff.labels])
    causes.push(`${name}: claimed ${was ?? 'nothing'}, rebuilt ${is ?? 'nothing'}`)
  if (causes.length === 0)
    causes.push('the same files and settings, described by other bytes: another builder or version of it')
  return causes
}
