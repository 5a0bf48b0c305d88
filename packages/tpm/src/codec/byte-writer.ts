import type { Endian } from './byte-reader.ts'
import { TpmError } from './errors.ts'

/**
 * Appends fields in order. Values that do not fit their field throw `input.malformed` with the field's name instead
 * of being cut to size.
 */
export class ByteWriter {
  readonly endian: Endian
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0

  constructor(endian: Endian, capacity = 64) {
    this.endian = endian
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  u8(field: string, value: number): this {
    this.#fits(field, value, 0xff)
    const at = this.#grow(1) // first: it may put another array in the place of this one
    this.#bytes[at] = value
    return this
  }

  u16(field: string, value: number): this {
    this.#fits(field, value, 0xffff)
    this.#put(this.#grow(2), value, 2)
    return this
  }

  u32(field: string, value: number): this {
    this.#fits(field, value, 0xffffffff)
    this.#put(this.#grow(4), value, 4)
    return this
  }

  u64(field: string, value: bigint): this {
    if (typeof value !== 'bigint' || value < 0n || value > 0xffffffffffffffffn)
      throw malformed(field, `${value} is not an unsigned 64-bit integer`)
    const at = this.#grow(8)
    const isBig = this.endian === 'big'
    this.#put(isBig ? at : at + 4, Number(value >> 32n), 4)
    this.#put(isBig ? at + 4 : at, Number(value & 0xffffffffn), 4)
    return this
  }

  i32(field: string, value: number): this {
    if (!Number.isInteger(value) || value < -0x80000000 || value > 0x7fffffff)
      throw malformed(field, `${value} is not a signed 32-bit integer`)
    this.#put(this.#grow(4), value >>> 0, 4)
    return this
  }

  yesNo(field: string, value: boolean): this {
    return this.u8(field, value ? 1 : 0)
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  /** A 16-bit size and the bytes: a TPM2B. */
  sized(field: string, bytes: Uint8Array, max = 0xffff): this {
    if (bytes.length > max) throw malformed(field, `${bytes.length} bytes are over ${max}`)
    return this.u16(`${field}.size`, bytes.length).raw(bytes)
  }

  /** A 32-bit size and the bytes. */
  sized32(field: string, bytes: Uint8Array, max = 0xffffffff): this {
    if (bytes.length > max) throw malformed(field, `${bytes.length} bytes are over ${max}`)
    return this.u32(`${field}.size`, bytes.length).raw(bytes)
  }

  /** Writes a 16-bit size before whatever `write` appends. */
  sized16By(field: string, write: () => void): this {
    const at = this.#grow(2)
    write()
    const size = this.#length - at - 2
    this.#fits(`${field}.size`, size, 0xffff)
    this.#put(at, size, 2)
    return this
  }

  /** Overwrites four bytes that were written before, for a size known only at the end. */
  patchU32(at: number, value: number): this {
    if (at + 4 > this.#length) throw new TpmError('internal', 'patch past the end')
    this.#put(at, value, 4)
    return this
  }

  /** What was written, in an array of its own; the writer is empty afterwards. A capacity just right saves a copy. */
  finish(): Uint8Array<ArrayBuffer> {
    const bytes = this.#length === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#length)
    this.#bytes = new Uint8Array()
    this.#length = 0
    return bytes
  }

  #fits(field: string, value: number, max: number): void {
    if (!Number.isInteger(value) || value < 0 || value > max) throw malformed(field, `${value} is not in 0..${max}`)
  }

  /** Octet by octet: a DataView for each writer would cost more than all that is written through it. */
  #put(at: number, value: number, octets: 2 | 4): void {
    for (let n = 0; n < octets; n++)
      this.#bytes[this.endian === 'big' ? at + octets - 1 - n : at + n] = (value >>> (8 * n)) & 0xff
  }

  #grow(length: number): number {
    const at = this.#length
    const needed = at + length
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#length = needed
    return at
  }
}

function malformed(field: string, why: string): TpmError {
  return new TpmError('input.malformed', `${field}: ${why}`)
}
