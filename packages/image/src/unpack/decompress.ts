import zlib from 'node:zlib'
import { ImageError } from '../errors.ts'
import type { Compression } from '../oci/media-types.ts'
import { pipeThrough } from '../stream/pipe-through.ts'
import { RATIO_FROM, type UnpackLimits } from './limits.ts'
import { MAX_WINDOW_BYTES, type FramePart, ZstdFrames } from './zstd-frames.ts'

const CHUNK = 256 * 1024
/** Lets the decompressor's thread go on with the next chunks while this one is unpacked. */
const READ_AHEAD = 4 * CHUNK
/** Frames up to this many compressed bytes are decompressed in one call: archives made for lazy pulling have thousands. */
const SMALL_FRAME = 256 * 1024
const SMALL_OUTPUT = 4 * 1024 * 1024
const WINDOW_LOG = Math.log2(MAX_WINDOW_BYTES)

/**
 * A layer's archive out of its compressed blob: one stream after another, gzip members or zstd frames, until the
 * blob ends, and nothing else behind them.
 *
 * @throws {ImageError} `compression.malformed`, `compression.limit`; errors of the source pass through.
 */
export async function* decompressLayer(
  blob: AsyncIterable<Uint8Array>,
  compression: Compression,
  limits: Pick<UnpackLimits, 'maxLayerBytes' | 'maxRatio'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const read = { bytes: 0 }
  const counted = count(blob, read)
  let written = 0
  try {
    for await (const chunk of decompress(counted, compression, read)) {
      written += chunk.length
      if (written > limits.maxLayerBytes)
        throw new ImageError('compression.limit', `layer expands to more than ${limits.maxLayerBytes} bytes`)
      if (written > RATIO_FROM && written > read.bytes * limits.maxRatio)
        throw new ImageError('compression.limit', `layer expands to more than ${limits.maxRatio} times its size`)
      yield chunk
    }
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    throw new ImageError('compression.malformed', `${compression}: ${(cause as Error).message}`, { cause })
  }
}

function decompress(
  blob: AsyncIterable<Uint8Array>,
  compression: Compression,
  read: { readonly bytes: number },
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return blob
    case 'gzip':
      return gunzip(blob, read)
    case 'zstd':
      return unzstd(blob)
  }
}

/** Node goes on to the next member by itself, but drops everything from a zero byte on without a word: so count. */
async function* gunzip(blob: AsyncIterable<Uint8Array>, read: { readonly bytes: number }): AsyncGenerator<Uint8Array> {
  const gunzip = zlib.createGunzip({ chunkSize: CHUNK, readableHighWaterMark: READ_AHEAD } as zlib.ZlibOptions)
  yield* pipeThrough(blob, gunzip)
  if (gunzip.bytesWritten !== read.bytes)
    throw new ImageError(
      'compression.malformed',
      `${read.bytes - gunzip.bytesWritten} bytes after the end of the gzip stream`,
    )
}

async function* unzstd(blob: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const parts = frameParts(blob)
  for (;;) {
    const frame = await readSmallFrame(parts)
    if (frame === undefined) return
    const whole = frame.complete ? decompressAtOnce(frame.parts) : undefined
    if (whole === undefined)
      yield* pipeThrough(frame.complete ? each(frame.parts) : restOfFrame(frame.parts, parts), zstdStream())
    else yield whole
  }
}

async function* frameParts(blob: AsyncIterable<Uint8Array>): AsyncGenerator<FramePart, void, undefined> {
  const frames = new ZstdFrames()
  for await (const chunk of blob) yield* frames.push(chunk)
  frames.finish()
}

/** The start of the next frame, or all of it where it is small; `undefined` at the end of the blob. */
async function readSmallFrame(parts: AsyncGenerator<FramePart, void, undefined>) {
  const start: Uint8Array[] = []
  for (let size = 0; size <= SMALL_FRAME;) {
    const { done, value } = await parts.next()
    if (done === true) return undefined
    start.push(value.bytes)
    size += value.bytes.length
    if (value.last) return { parts: start, complete: true }
  }
  return { parts: start, complete: false }
}

async function* restOfFrame(
  start: readonly Uint8Array[],
  parts: AsyncGenerator<FramePart, void, undefined>,
): AsyncGenerator<Uint8Array> {
  yield* start
  for (;;) {
    const { done, value } = await parts.next()
    if (done === true) return
    yield value.bytes
    if (value.last) return
  }
}

/** `undefined` when the output is large: then it must be streamed. */
function decompressAtOnce(parts: readonly Uint8Array[]): Uint8Array | undefined {
  try {
    return zlib.zstdDecompressSync(Buffer.concat(parts), { maxOutputLength: SMALL_OUTPUT, params: zstdParams() })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw error
  }
}

async function* each(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

function zstdStream() {
  return zlib.createZstdDecompress({
    chunkSize: CHUNK,
    params: zstdParams(),
    readableHighWaterMark: READ_AHEAD,
  } as zlib.ZstdOptions)
}

function zstdParams() {
  return { [zlib.constants.ZSTD_d_windowLogMax]: WINDOW_LOG }
}

async function* count(source: AsyncIterable<Uint8Array>, read: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    read.bytes += chunk.length
    yield chunk
  }
}
