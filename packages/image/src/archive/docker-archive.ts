import { parseStrictJson } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import type { BlobUse, ImageSource } from '../oci/chain.ts'
import { parseImageConfig } from '../oci/config.ts'
import { type Content, type Digest, Digester, digestHex, digestOf } from '../oci/digest.ts'
import {
  asArray,
  asObject,
  asString,
  asStringList,
  type JsonObject,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  member,
  optional,
} from '../oci/json.ts'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference, referenceText } from '../oci/reference.ts'
import { type ArchivedFile, ArchiveFiles, compressionOf } from './archive-files.ts'

const READ_BYTES = 256 * 1024
const MAX_IMAGES = 1024
const MAX_NAMES = 1024

/** One image of an archive. */
export interface SavedImage {
  /** Of the manifest that was made for it here: `docker save` keeps none. */
  readonly digest: Digest
  /** In normal form: `docker.io/library/debian:12`. */
  readonly names: readonly string[]
}

/**
 * What `docker save` wrote: configurations and layers, and no manifest. One is made, always the same for the same archive,
 * over the layers as they lie there. So its digest is not the one that a registry has of the image; the configuration, and
 * with it docker's image id, is unchanged.
 *
 * @source Docker image specification v1.2, combined image JSON and filesystem changeset format: manifest.json
 */
export class DockerArchive implements ImageSource {
  readonly place: string
  readonly images: readonly SavedImage[]
  readonly isLocal = true
  readonly #archive: ArchiveFiles
  readonly #manifests: ReadonlyMap<Digest, Uint8Array>
  readonly #blobs: ReadonlyMap<Digest, ArchivedFile>

  private constructor(
    archive: ArchiveFiles,
    images: readonly SavedImage[],
    manifests: ReadonlyMap<Digest, Uint8Array>,
    blobs: ReadonlyMap<Digest, ArchivedFile>,
  ) {
    this.place = archive.place
    this.images = images
    this.#archive = archive
    this.#manifests = manifests
    this.#blobs = blobs
  }

  /**
   * Reads the archive, and every layer once: each must be, or be said by its own first bytes to be compressed into, the
   * archive that its configuration names.
   *
   * @throws {ImageError} `layout.missing`, `archive.malformed`, `tar.*`, `document.*`, `digest.mismatch`, `chain.layers`.
   */
  static async open(file: string): Promise<DockerArchive> {
    const archive = await ArchiveFiles.open(file)
    const entries = parseList(await readSmall(archive, 'manifest.json', MAX_MANIFEST_BYTES), `${file}: manifest.json`)
    const [manifests, blobs] = [new Map<Digest, Uint8Array>(), new Map<Digest, ArchivedFile>()]
    const layers = new LayerReader(archive, blobs)
    const images: SavedImage[] = []
    for (const [i, listed] of entries.entries()) {
      const entry = readEntry(listed, `${file}: manifest.json[${i}]`)
      const config = await readConfig(archive, entry.config)
      blobs.set(config.content.digest, config.file)
      const manifest = new TextEncoder().encode(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA.manifest,
          config: { mediaType: MEDIA.config, ...config.content },
          layers: await layers.readAll(entry, config.diffIds),
        }),
      )
      const digest = digestOf(manifest)
      manifests.set(digest, manifest)
      images.push({ digest, names: entry.names })
    }
    return new DockerArchive(archive, images, manifests, blobs)
  }

  async readManifest(digest: Digest): Promise<{ bytes: Uint8Array; mediaType: string }> {
    const bytes = this.#manifests.get(digest)
    if (bytes === undefined) throw new ImageError('layout.missing', `${this.place}: no image ${digest}`)
    return { bytes, mediaType: MEDIA.manifest }
  }

  async *openBlob(
    blob: Content,
    { offset = 0, transient = false }: BlobUse = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const file = this.#blobs.get(blob.digest)
    if (file === undefined) throw new ImageError('layout.missing', `${this.place}: no blob ${blob.digest}`)
    const memory = transient ? new Uint8Array(READ_BYTES) : undefined
    yield* this.#archive.read(file, { start: offset, end: blob.size }, memory)
  }

  /**
   * @param name - As docker knows it; without a tag `latest`.
   * @throws {ImageError} `layout.missing` when no image has it, `archive.malformed` when two different ones do.
   */
  find(name: string): Digest {
    const wanted = normalName(name)
    const found = new Set(this.images.filter(({ names }) => names.includes(wanted)).map(({ digest }) => digest))
    const [only, second] = found
    if (only === undefined) {
      const names = this.images.flatMap((image) => image.names)
      throw new ImageError(
        'layout.missing',
        `${this.place}: no image named ${wanted}; there is ${names.slice(0, 20).join(', ') || 'none with a name'}`,
      )
    }
    if (second !== undefined) throw new ImageError('archive.malformed', `${this.place}: two images are named ${wanted}`)
    return only
  }
}

interface Entry {
  readonly config: string
  readonly names: readonly string[]
  readonly layers: readonly string[]
}

function parseList(bytes: Uint8Array, what: string): readonly unknown[] {
  try {
    const list = asArray(parseStrictJson(bytes, { maxBytes: MAX_MANIFEST_BYTES }), what, MAX_IMAGES)
    if (list.length > 0) return list
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    throw new ImageError('document.malformed', `${what}: ${(cause as Error).message}`, { cause })
  }
  throw new ImageError('document.malformed', `${what}: no images`)
}

function readEntry(value: unknown, what: string): Entry {
  const entry: JsonObject = asObject(value, what)
  const names = optional(entry, 'RepoTags', what, asStringList) ?? []
  if (names.length > MAX_NAMES) throw new ImageError('document.malformed', `${what}.RepoTags: ${names.length} names`)
  return {
    config: asString(member(entry, 'Config'), `${what}.Config`),
    names: names.map(normalName),
    layers: asArray(member(entry, 'Layers') ?? [], `${what}.Layers`, 512).map((name, i) =>
      asString(name, `${what}.Layers[${i}]`),
    ),
  }
}

function normalName(text: string): string {
  const { registry, path, tag = 'latest' } = parseReference(text)
  return referenceText({ registry, path, tag })
}

async function readConfig(
  archive: ArchiveFiles,
  name: string,
): Promise<{ readonly diffIds: readonly Digest[]; readonly content: Content; readonly file: ArchivedFile }> {
  const bytes = await readSmall(archive, name, MAX_CONFIG_BYTES)
  const content = { digest: digestOf(bytes), size: bytes.length }
  const named = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1]
  if (named !== undefined && named !== digestHex(content.digest))
    throw new ImageError('digest.mismatch', `${archive.place}: configuration ${name} is ${content.digest}`)
  const { diffIds } = parseImageConfig(bytes, `${archive.place}: ${name}`)
  return { diffIds, content, file: findFile(archive, name) }
}

const COMPRESSED_LAYER: Readonly<Record<string, string>> = { gzip: MEDIA.layerGzip, zstd: MEDIA.layerZstd }

/** Reads each layer once, however many images stand on it, and however many links lead to it. */
class LayerReader {
  readonly #archive: ArchiveFiles
  readonly #blobs: Map<Digest, ArchivedFile>
  readonly #read = new Map<ArchivedFile, Content>()

  /** @param blobs - Gets the layers' files, by digest. */
  constructor(archive: ArchiveFiles, blobs: Map<Digest, ArchivedFile>) {
    this.#archive = archive
    this.#blobs = blobs
  }

  /** @returns Descriptors, as they stand in a manifest. */
  async readAll({ config, layers }: Entry, diffIds: readonly Digest[]): Promise<readonly object[]> {
    if (layers.length !== diffIds.length)
      throw new ImageError(
        'chain.layers',
        `${this.#archive.place}: ${config} lists ${diffIds.length} layers, manifest.json ${layers.length}`,
      )
    const descriptors: object[] = []
    for (const [i, diffId] of diffIds.entries()) descriptors.push(await this.#describe(layers[i] ?? '', diffId))
    return descriptors
  }

  /** The archive has no media types: a layer that is not compressed shows it by its digest. */
  async #describe(name: string, diffId: Digest): Promise<object> {
    const file = findFile(this.#archive, name)
    const content = this.#read.get(file) ?? (await this.#digest(file))
    this.#read.set(file, content)
    this.#blobs.set(content.digest, file)
    if (content.digest === diffId) return { mediaType: MEDIA.layer, ...content }
    // what comes out of a compressed one is held against the diffID by whoever unpacks it
    const compressed = COMPRESSED_LAYER[compressionOf(await this.#archive.readStart(file, 4)) ?? '']
    if (compressed !== undefined) return { mediaType: compressed, ...content }
    throw new ImageError(
      'digest.mismatch',
      `${this.#archive.place}: layer ${name} is ${content.digest}, its configuration says ${diffId}`,
    )
  }

  async #digest(file: ArchivedFile): Promise<Content> {
    const digester = new Digester()
    const memory = new Uint8Array(READ_BYTES)
    for await (const chunk of this.#archive.read(file, { start: 0, end: file.size - 1 }, memory)) digester.update(chunk)
    return { digest: digester.digest(), size: digester.size }
  }
}

function findFile(archive: ArchiveFiles, name: string): ArchivedFile {
  const found = archive.find(name, { followLink: true })
  if (found === undefined) throw new ImageError('layout.missing', `${archive.place}: no file ${name.slice(0, 200)}`)
  return found
}

async function readSmall(archive: ArchiveFiles, name: string, maxBytes: number): Promise<Uint8Array> {
  const file = findFile(archive, name)
  if (file.size > maxBytes)
    throw new ImageError('document.too-large', `${archive.place}: ${name}: ${file.size} bytes, at most ${maxBytes}`)
  return archive.readWhole(file)
}
