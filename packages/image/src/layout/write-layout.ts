import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type Descriptor, descriptorJson } from '../oci/descriptor.ts'
import { type Content, Digester, digestAlgorithm, digestOf, StreamDigester } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { blobPath, ImageLayout, REF_NAME, syncDirectory } from './layout.ts'

const MARKER = '{"imageLayoutVersion":"1.0.0"}'
/** Inside the layout, so that a rename never crosses a file system; other tools ignore names they do not know. */
const STAGING = '.staging'
/** What is there before the marker, which comes last. */
const UNFINISHED: ReadonlySet<string> = new Set([STAGING, 'blobs', 'index.json'])

/**
 * Writes into an OCI image layout. A blob appears under its digest only when it is complete, verified and on disk;
 * `index.json` changes in one rename. One writer at a time: concurrent changes of index.json are not merged.
 */
export class LayoutWriter {
  readonly directory: string
  readonly #signal: AbortSignal | undefined

  private constructor(directory: string, signal: AbortSignal | undefined) {
    this.directory = directory
    this.#signal = signal
  }

  /**
   * Opens a layout, or makes one in a directory that is absent or empty.
   *
   * @param signal - Ends what is being written, of which nothing is left: `aborted`.
   * @throws {ImageError} `layout.malformed` when the directory holds something else.
   */
  static async open(directory: string, signal?: AbortSignal): Promise<LayoutWriter> {
    await makeDirectory(directory)
    const names = await readdir(directory)
    if (!names.includes('oci-layout')) {
      if (!names.every((name) => UNFINISHED.has(name)))
        throw new ImageError('layout.malformed', `${directory}: holds files, but no image layout`)
      await mkdir(path.join(directory, 'blobs', 'sha256'), { recursive: true })
      if (!names.includes('index.json')) await writeFile(path.join(directory, 'index.json'), indexJson([]))
      await writeFile(path.join(directory, 'oci-layout'), MARKER)
    }
    await ImageLayout.open(directory)
    return new LayoutWriter(directory, signal)
  }

  async putBytes(bytes: Uint8Array, expected?: Content): Promise<Content> {
    return this.putStream(chunks(bytes), expected)
  }

  /**
   * Stores a stream under the digest of its content.
   *
   * @param expected - When given, the content must be exactly this, else nothing is stored.
   */
  async putStream(source: AsyncIterable<Uint8Array>, expected?: Content): Promise<Content> {
    const staging = path.join(this.directory, STAGING)
    await mkdir(staging, { recursive: true, mode: 0o700 })
    const temporary = path.join(staging, randomBytes(12).toString('hex'))
    const algorithm = expected === undefined ? 'sha256' : digestAlgorithm(expected.digest)
    using digester = new StreamDigester(algorithm, expected?.size ?? 0)
    try {
      const handle = await open(temporary, 'wx', 0o644)
      try {
        for await (const chunk of source) {
          if (this.#signal?.aborted === true) throw new ImageError('aborted', 'told to stop')
          await digester.update(chunk)
          if (expected !== undefined && digester.size > expected.size)
            throw new ImageError('digest.mismatch', `blob ${expected.digest}: longer than ${expected.size} bytes`)
          await writeAll(handle, chunk)
        }
        await handle.sync()
      } finally {
        await handle.close()
      }
      const actual: Content = { digest: await digester.digest(), size: digester.size }
      if (expected !== undefined && (actual.digest !== expected.digest || actual.size !== expected.size))
        throw new ImageError(
          'digest.mismatch',
          `blob ${expected.digest}: content is ${actual.digest}, ${actual.size} bytes`,
        )
      const target = blobPath(this.directory, actual.digest)
      await mkdir(path.dirname(target), { recursive: true })
      await rename(temporary, target)
      await syncDirectory(path.dirname(target))
      return actual
    } finally {
      await rm(temporary, { force: true })
    }
  }

  /** Copies a blob that another source has, unless a file of that digest and size is here already. */
  async copyBlob(blob: Content, from: (blob: Content) => AsyncIterable<Uint8Array>): Promise<void> {
    const layout = await ImageLayout.open(this.directory)
    if (await layout.has(blob)) {
      // what lies here may be damaged: only verified content counts as present
      const digester = new Digester(digestAlgorithm(blob.digest))
      for await (const chunk of layout.openBlob(blob)) digester.update(chunk)
      if (digester.digest() === blob.digest) return
    }
    await this.putStream(from(blob), blob)
  }

  /**
   * Lists an image in index.json; a name that another entry has moves over to this one.
   *
   * @param name - The tag (`org.opencontainers.image.ref.name`); without one the image is listed by digest only.
   */
  async addToIndex(descriptor: Descriptor, name?: string): Promise<void> {
    const { manifests } = (await ImageLayout.open(this.directory)).index
    // listed already, perhaps under a name that it would lose
    if (name === undefined && manifests.some(({ digest }) => digest === descriptor.digest)) return
    const kept = manifests.filter((entry) => name === undefined || entry.annotations.get(REF_NAME) !== name)
    const annotations = new Map(descriptor.annotations)
    if (name !== undefined) annotations.set(REF_NAME, name)
    await this.#replaceIndex([...kept, { ...descriptor, annotations }])
  }

  async #replaceIndex(manifests: readonly Descriptor[]): Promise<void> {
    const staging = path.join(this.directory, STAGING)
    await mkdir(staging, { recursive: true, mode: 0o700 })
    const temporary = path.join(staging, randomBytes(12).toString('hex'))
    const handle = await open(temporary, 'wx', 0o644)
    try {
      await handle.writeFile(indexJson(manifests))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path.join(this.directory, 'index.json'))
    await syncDirectory(this.directory)
    await rm(staging, { recursive: true, force: true })
  }
}

/** Not by `recursive`: that never ends where a file system says of a new name that there is no such parent, as /proc does. */
async function makeDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw cause
  })
  if (found?.isDirectory() === true) return
  if (found !== undefined) throw new ImageError('layout.malformed', `${directory}: not a directory`)
  await makeDirectory(path.dirname(path.resolve(directory)))
  await mkdir(directory).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause
  })
}

/** Stores a JSON document and describes it. */
export async function putDocument(
  layout: LayoutWriter,
  mediaType: string,
  document: unknown,
): Promise<Descriptor & { readonly bytes: Uint8Array }> {
  const bytes = new TextEncoder().encode(JSON.stringify(document))
  const content: Content = { digest: digestOf(bytes), size: bytes.length }
  await layout.putBytes(bytes)
  return { mediaType, ...content, annotations: new Map(), bytes }
}

function indexJson(manifests: readonly Descriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: manifests.map(descriptorJson) })
}

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function writeAll(
  handle: { write(b: Uint8Array, at: number): Promise<{ bytesWritten: number }> },
  bytes: Uint8Array,
) {
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten
}
