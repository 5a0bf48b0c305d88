import { ImageError } from '../errors.ts'
import { digestAlgorithm, StreamDigester, verifiedWhileRead } from '../oci/digest.ts'
import { TarReader } from '../tar/read-tar.ts'
import { type ApplyPorts, LayerApplier } from './apply-layer.ts'
import { decompressLayer } from './decompress.ts'
import type { ReadableLayer } from './open-layer.ts'

export interface LayerInput {
  readonly readable: ReadableLayer
  /** The bytes as they are stored: verified here, or in the decryption. */
  readonly stored: AsyncIterable<Uint8Array>
  /** Position in the image, lowest 0. */
  readonly number: number
}

/**
 * Streams one layer: digest of the blob, decompression, digest of the archive, entries to disk, one chunk at a time.
 * Nothing of it counts before this returns: the caller stages, and publishes afterwards.
 *
 * A broken archive inside a blob that is not what its digest says is reported as `digest.mismatch`, which is the
 * cause, and not as a broken archive.
 */
export async function unpackLayer(
  input: LayerInput,
  ports: ApplyPorts,
  options: { readonly signal?: AbortSignal | undefined; readonly onBytes?: (bytes: number) => void },
): Promise<void> {
  const { layer, content, read } = input.readable
  const what = `layer ${layer.descriptor.digest}`
  const plain = layer.form.encrypted ? `${what}, decrypted` : what
  // who promised the plain bytes is whoever encrypted, not the registry
  const code = layer.form.encrypted ? 'encryption.mismatch' : 'digest.mismatch'
  const { meter, disk } = ports
  const onBytes = (bytes: number) => {
    meter.readBytes += bytes
    options.onBytes?.(bytes)
  }
  const opened = read(watched(input.stored, options.signal, onBytes))
  const { digest: promised, size } = content
  const verified =
    promised === undefined ? passed(opened) : verifiedWhileRead(opened, { digest: promised, size }, plain, code)
  const applier = new LayerApplier(input.number, ports)
  const reader = new TarReader(applier)
  // hashed once where blob and archive are the same bytes
  const isPlain = layer.form.compression === 'none' && promised === layer.diffId
  using diff = new StreamDigester(digestAlgorithm(layer.diffId), isPlain ? 0 : size)
  try {
    for await (const chunk of decompressLayer(keepOpen(verified), layer.form.compression, meter.limits)) {
      if (!isPlain) await diff.update(chunk)
      reader.push(chunk)
    }
    reader.finish()
  } catch (error) {
    applier.abandon()
    await assertSourceIsHonest(error, verified)
    throw error
  }
  const actual = isPlain ? promised : await diff.digest()
  if (actual !== layer.diffId)
    throw new ImageError(
      promised === undefined ? code : 'digest.mismatch',
      `${what}: its archive is ${actual}, the configuration says ${layer.diffId}`,
    )
  disk.setAttributes(applier.takeAttributes())
}

async function* passed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* source
}

async function* watched(
  blob: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of blob) {
    if (signal?.aborted === true)
      throw new ImageError('aborted', 'unpacking was ended by the caller', { cause: signal.reason })
    onBytes(chunk.length)
    yield chunk
  }
}

/** Lets a consumer stop early without closing the source, so that what is left of it can still be hashed. */
async function* keepOpen(source: AsyncGenerator<Uint8Array, void, undefined>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await source.next()
    if (next.done === true) return
    yield next.value
  }
}

/** Reads the blob to its end after an error in its content: a lying source is the better explanation. */
async function assertSourceIsHonest(error: unknown, rest: AsyncGenerator<Uint8Array, void, undefined>): Promise<void> {
  const aboutContent = error instanceof ImageError && /^(tar|compression|unpack)\./.test(error.code)
  try {
    if (!aboutContent) return
    for await (const _ of rest);
  } finally {
    await rest.return()
  }
}
