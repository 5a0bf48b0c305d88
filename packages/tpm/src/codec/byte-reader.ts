import { TpmError } from './errors.ts'

export type Endian = 'big' | 'little'

/** V8 keeps arrays up to this size among its objects; the first view of one moves it out, which costs ten copies. */
const SMALL_BYTES = 64

/**
 * Reads one structure once, in order, to its last byte. Every read names its field, so that an error can say which
 * field of which structure broke at which offset. All errors are `input.malformed`.
 *
 * The reader keeps a reference to `bytes` and never writes to it. What it hands out (`take`, `sized`, `rest`) are
 * copies; `view` is the one exception, for large logs.
 */
export class ByteReader {
  /** What is being read, for error messages: `TPMS_ATTEST`. */
  readonly what: string
  readonly bytes: Uint8Array
  readonly endian: Endian
  readonly #base: number
  #offset = 0

  /** @param base - Where `bytes` begins in the outermost input: offsets in errors count from there. */
  constructor(what: string, bytes: Uint8Array, endian: Endian, base = 0) {
    this.what = what
    this.bytes = bytes
    this.endian = endian
    this.#base = base
  }

  /** Offset of the next byte, within `bytes`. */
  get offset(): number {
    return this.#offset
  }

  get remaining(): number {
    return this.bytes.length - this.#offset
  }

  /** The error to throw when a field has a value that it may not have. */
  malformed(field: string, why: string): TpmError {
    return new TpmError('input.malformed', `${this.what}: ${field} at offset ${this.#base + this.#offset}: ${why}`)
  }

  // A DataView for each reader would cost more than all that is read through it.
  u8(field: string): number {
    return this.#octet(this.#advance(field, 1))
  }

  u16(field: string): number {
    const at = this.#advance(field, 2)
    return this.endian === 'big'
      ? (this.#octet(at) << 8) | this.#octet(at + 1)
      : (this.#octet(at + 1) << 8) | this.#octet(at)
  }

  u32(field: string): number {
    return this.#word(this.#advance(field, 4))
  }

  u64(field: string): bigint {
    const at = this.#advance(field, 8)
    const isBig = this.endian === 'big'
    const high = this.#word(isBig ? at : at + 4)
    const low = this.#word(isBig ? at + 4 : at)
    return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low)
  }

  i32(field: string): number {
    return this.u32(field) | 0
  }

  /** A TPMI_YES_NO: one byte, 0 or 1, nothing else. */
  yesNo(field: string): boolean {
    const value = this.u8(field)
    if (value > 1) {
      this.#offset -= 1
      throw this.malformed(field, `${value} is neither yes (1) nor no (0)`)
    }
    return value === 1
  }

  /** A copy of the next `length` bytes. */
  take(field: string, length: number): Uint8Array<ArrayBuffer> {
    if (length > SMALL_BYTES) return new Uint8Array(this.view(field, length))
    const from = this.#advance(field, length)
    const copy = new Uint8Array(length)
    for (let n = 0; n < length; n++) copy[n] = this.#octet(from + n)
    return copy
  }

  /** The next `length` bytes without copying: shares memory with `bytes`. */
  view(field: string, length: number): Uint8Array {
    const from = this.#advance(field, length)
    return this.bytes.subarray(from, from + length)
  }

  /** A 16-bit size and so many bytes, at most `max`: a TPM2B. Copied. */
  sized(field: string, max: number): Uint8Array<ArrayBuffer> {
    return this.take(field, this.size(field, max))
  }

  /** A 16-bit size, at most `max`, and no more than what remains. */
  size(field: string, max: number): number {
    return this.#bounded(field, this.u16(`${field}.size`), max)
  }

  /** A 32-bit size and so many bytes, at most `max`. Copied. */
  sized32(field: string, max: number): Uint8Array<ArrayBuffer> {
    return this.take(field, this.#bounded(field, this.u32(`${field}.size`), max))
  }

  /** A 32-bit element count, at most `max`. */
  count(field: string, max: number): number {
    const count = this.u32(field)
    if (count > max) {
      this.#offset -= 4
      throw this.malformed(field, `${count} is over ${max}`)
    }
    return count
  }

  /** A reader over the next `length` bytes, with offsets in errors that still count from the outermost input. */
  part(field: string, length: number, what: string = `${this.what}.${field}`): ByteReader {
    const base = this.#base + this.#offset
    return new ByteReader(what, this.view(field, length), this.endian, base)
  }

  /** A copy of everything that is left. */
  rest(): Uint8Array<ArrayBuffer> {
    return this.take('rest', this.remaining)
  }

  /** Call last: nothing may be left over. */
  end(): void {
    if (this.remaining > 0) throw this.malformed('end', `${this.remaining} bytes left over`)
  }

  #octet(at: number): number {
    return this.bytes[at] ?? 0
  }

  #word(at: number): number {
    const b = this.bytes
    return this.endian === 'big'
      ? (((b[at] ?? 0) << 24) | ((b[at + 1] ?? 0) << 16) | ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0)) >>> 0
      : (((b[at + 3] ?? 0) << 24) | ((b[at + 2] ?? 0) << 16) | ((b[at + 1] ?? 0) << 8) | (b[at] ?? 0)) >>> 0
  }

  #bounded(field: string, length: number, max: number): number {
    if (length > max) throw this.malformed(`${field}.size`, `${length} is over ${max}`)
    return length
  }

  #advance(field: string, length: number): number {
    if (!Number.isSafeInteger(length) || length < 0) throw this.malformed(field, `${length} is not a length`)
    if (length > this.remaining) throw this.malformed(field, `wants ${length} bytes, ${this.remaining} are left`)
    const from = this.#offset
    this.#offset += length
    return from
  }
}
