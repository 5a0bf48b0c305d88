import { ImageError } from '../errors.ts'

/** A stretch of a zstd stream. `frame` numbers the data frames; skippable ones are left out. */
export interface FramePart {
  readonly bytes: Uint8Array
  /** This part begins a new frame. */
  readonly first: boolean
  /** This part ends its frame. */
  readonly last: boolean
}

const MAGIC = 0xfd2fb528
/** Largest window accepted, what `zstd -19` and `--ultra` below 22 use; a decoder needs that much memory. */
export const MAX_WINDOW_BYTES = 64 * 1024 * 1024

type Want = { readonly bytes: number; readonly emit: boolean; readonly boundary?: true }

/**
 * Finds the frames of a zstd stream by their block headers, without decompressing. Needed because Node's decompressor
 * silently ignores what follows the first frame in one write (measured), and because the window must be checked
 * before memory is given to it.
 *
 * @source RFC 8878 section 3.1
 */
export class ZstdFrames {
  readonly #out: FramePart[] = []
  readonly #parser = this.#stream()
  #want: Want | undefined
  #head = new Uint8Array(0)
  #left = 0
  #first = true

  constructor() {
    this.#next(undefined)
  }

  /** The parts that `chunk` completes; they share its memory. */
  push(chunk: Uint8Array): FramePart[] {
    for (let at = 0; at < chunk.length;) {
      const want = this.#want
      if (want === undefined) break
      const taken = Math.min(this.#left, chunk.length - at)
      const part = chunk.subarray(at, at + taken)
      if (want.emit) this.#emit(part, false)
      else this.#head = append(this.#head, part)
      at += taken
      this.#left -= taken
      if (this.#left === 0) this.#next(this.#head)
    }
    return this.#out.splice(0)
  }

  finish(): void {
    if (this.#want?.boundary !== true || this.#head.length > 0) throw malformed('zstd stream ends inside a frame')
  }

  #next(bytes: Uint8Array | undefined): void {
    this.#head = new Uint8Array(0)
    const next = bytes === undefined ? this.#parser.next() : this.#parser.next(bytes)
    this.#want = next.done === true ? undefined : next.value
    this.#left = this.#want?.bytes ?? 0
  }

  #emit(bytes: Uint8Array, last: boolean): void {
    this.#out.push({ bytes, first: this.#first, last })
    this.#first = last
  }

  *#stream(): Generator<Want, void, Uint8Array> {
    for (;;) {
      const magic: Uint8Array = yield { bytes: 4, emit: false, boundary: true }
      const value = le(magic, 4)
      if (value >= 0x184d2a50 && value <= 0x184d2a5f) {
        const size = le(yield { bytes: 4, emit: false }, 4)
        // read in portions, and dropped
        for (let left = size; left > 0; left -= 65536) yield { bytes: Math.min(left, 65536), emit: false }
        continue
      }
      if (value !== MAGIC) throw malformed('bytes that are no zstd frame')
      this.#emit(magic, false)
      const checksum = yield* this.#frameHeader()
      for (let last = false; !last;) {
        const head: Uint8Array = yield { bytes: 3, emit: false }
        const block = le(head, 3)
        last = (block & 1) === 1
        const type = (block >> 1) & 3
        const size = block >>> 3
        if (type === 3 || size > 128 * 1024) throw malformed('zstd block of a reserved type or size')
        const body = type === 1 ? 1 : size
        this.#emit(head, last && body === 0 && !checksum)
        if (body > 0) yield { bytes: body, emit: true }
        if (last && body > 0 && !checksum) this.#emit(new Uint8Array(0), true)
      }
      if (checksum) this.#emit(yield { bytes: 4, emit: false }, true)
    }
  }

  *#frameHeader(): Generator<Want, boolean, Uint8Array> {
    const descriptor: Uint8Array = yield { bytes: 1, emit: false }
    const flags = descriptor[0] ?? 0
    const single = (flags & 0x20) !== 0
    const sizeFlag = flags >> 6
    if ((flags & 0x08) !== 0) throw malformed('reserved bit in a zstd frame header')
    if ((flags & 3) !== 0) throw malformed('zstd frame needs a dictionary')
    const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag
    const restBytes = (single ? 0 : 1) + sizeBytes
    const rest: Uint8Array = restBytes === 0 ? new Uint8Array(0) : yield { bytes: restBytes, emit: false }
    const window = single ? le(rest, sizeBytes) + (sizeBytes === 2 ? 256 : 0) : windowBytes(rest[0] ?? 0)
    if (window > MAX_WINDOW_BYTES)
      throw new ImageError(
        'compression.limit',
        `zstd frame asks for a window of ${window} bytes, at most ${MAX_WINDOW_BYTES}`,
      )
    this.#emit(descriptor, false)
    this.#emit(rest, false)
    return (flags & 4) !== 0
  }
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}

function le(bytes: Uint8Array, length: number): number {
  let value = 0
  for (let i = length - 1; i >= 0; i--) value = value * 256 + (bytes[i] ?? 0)
  return value
}

function append(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

function malformed(message: string): ImageError {
  return new ImageError('compression.malformed', message)
}
