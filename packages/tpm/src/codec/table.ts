import type { ByteReader } from './byte-reader.ts'
import { ByteReader as Reader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { TpmError } from './errors.ts'

/**
 * How one type of the specification lies in memory. Structures and commands are tables of these, field by field in
 * the specification's order; reading and writing follow from the table.
 */
export interface Codec<T> {
  read(reader: ByteReader, field: string): T
  write(writer: ByteWriter, field: string, value: T): void
  /** The type starts with a 16-bit size (a TPM2B): such a first parameter can be encrypted. */
  readonly isSized?: true
}

export type TypeOf<C> = C extends Codec<infer T> ? T : never
export type Fields = { readonly [name: string]: Codec<unknown> }
export type StructOf<F extends Fields> = { readonly [K in keyof F]: TypeOf<F[K]> }

export const U8: Codec<number> = { read: (r, f) => r.u8(f), write: (w, f, v) => w.u8(f, v) }
export const U16: Codec<number> = { read: (r, f) => r.u16(f), write: (w, f, v) => w.u16(f, v) }
export const U32: Codec<number> = { read: (r, f) => r.u32(f), write: (w, f, v) => w.u32(f, v) }
export const U64: Codec<bigint> = { read: (r, f) => r.u64(f), write: (w, f, v) => w.u64(f, v) }
export const I32: Codec<number> = { read: (r, f) => r.i32(f), write: (w, f, v) => w.i32(f, v) }
export const YES_NO: Codec<boolean> = { read: (r, f) => r.yesNo(f), write: (w, f, v) => w.yesNo(f, v) }

/** A TPM2B whose contents stay bytes, at most `max` of them. */
export function bytes(max: number): Codec<Uint8Array> {
  return { read: (r, f) => r.sized(f, max), write: (w, f, v) => w.sized(f, v, max), isSized: true }
}

/** A TPM2B around a structure, which must fill it exactly. */
export function sized<T>(inner: Codec<T>, max = 0xffff): Codec<T> {
  return {
    read(r, f) {
      const part = r.part(f, r.size(f, max))
      const value = inner.read(part, f)
      part.end()
      return value
    },
    write: (w, f, v) => w.sized16By(f, () => inner.write(w, f, v)),
    isSized: true,
  }
}

/** A TPM2B around a structure, or an empty one. */
export function optionalSized<T>(inner: Codec<T>, max = 0xffff): Codec<T | undefined> {
  const full = sized(inner, max)
  return {
    read(r, f) {
      if (r.remaining >= 2 && r.bytes[r.offset] === 0 && r.bytes[r.offset + 1] === 0) {
        r.u16(f)
        return undefined
      }
      return full.read(r, f)
    },
    write(w, f, v) {
      if (v === undefined) w.u16(f, 0)
      else full.write(w, f, v)
    },
    isSized: true,
  }
}

/** A 32-bit count and so many elements: a TPML. */
export function list<T>(element: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    read(r, f) {
      const count = r.count(`${f}.count`, max)
      const values: T[] = []
      for (let i = 0; i < count; i++) values.push(element.read(r, f))
      return values
    },
    write(w, f, values) {
      if (values.length > max) throw new TpmError('input.malformed', `${f}: ${values.length} elements are over ${max}`)
      w.u32(`${f}.count`, values.length)
      for (const value of values) element.write(w, f, value)
    },
  }
}

/** An integer that may only be one of those in the table; read as its name. */
export function named<const T extends Readonly<Record<string, number>>>(
  what: string,
  integer: Codec<number>,
  table: T,
): Codec<keyof T & string> {
  const names = new Map(Object.entries(table).map(([name, id]) => [id, name as keyof T & string]))
  return {
    read(r, f) {
      const before = r.offset
      const id = integer.read(r, f)
      const name = names.get(id)
      if (name === undefined) throw r.malformed(f, `0x${id.toString(16)}, read from offset ${before}, is not a ${what}`)
      return name
    },
    write(w, f, name) {
      const id = Object.hasOwn(table, name) ? table[name] : undefined
      if (id === undefined) throw new TpmError('input.malformed', `${f}: ${JSON.stringify(name)} is not a ${what}`)
      integer.write(w, f, id)
    },
  }
}

/** An integer that can have one value only; not part of the structure's type. */
export function constant(integer: Codec<number>, value: number, what: string): Codec<undefined> {
  return {
    read(r, f) {
      const found = integer.read(r, f)
      if (found !== value) throw r.malformed(f, `0x${found.toString(16)} is not ${what}`)
      return undefined
    },
    write: (w, f) => integer.write(w, f, value),
  }
}

/** A bit field of 32 bits, `bits` giving each name its bit. Bits without a name must be zero. */
export function flags<const N extends string>(
  what: string,
  bits: Readonly<Record<N, number>>,
): Codec<Readonly<Record<N, boolean>>> {
  const entries = Object.entries<number>(bits).map(([name, bit]) => ({ name: name as N, mask: (1 << bit) >>> 0 }))
  const known = entries.reduce((all, { mask }) => (all | mask) >>> 0, 0)
  return {
    read(r, f) {
      const word = r.u32(f)
      const reserved = (word & ~known) >>> 0
      if (reserved !== 0) throw r.malformed(f, `reserved bits 0x${reserved.toString(16)} of ${what} are set`)
      const value = {} as Record<N, boolean>
      for (const { name, mask } of entries) value[name] = (word & mask) !== 0
      return value
    },
    write(w, f, value) {
      let word = 0
      for (const { name, mask } of entries) if (value[name]) word |= mask
      w.u32(f, word >>> 0)
    },
  }
}

/** Fields in order. */
export function struct<const F extends Fields>(fields: F): Codec<StructOf<F>> {
  const row = new FieldRow(fields)
  return {
    read: (r) => row.read(r, {}) as StructOf<F>,
    write: (w, _f, value) => row.write(w, value),
  }
}

/** Fields as a list, which is what reading and writing go through. */
export class FieldRow {
  readonly #fields: readonly { readonly name: string; readonly codec: Codec<unknown> }[]

  constructor(fields: Fields) {
    this.#fields = Object.entries(fields).map(([name, codec]) => ({ name, codec }))
  }

  get first(): Codec<unknown> | undefined {
    return this.#fields[0]?.codec
  }

  /** Adds the fields to `value`. */
  read(r: ByteReader, value: Record<string, unknown>): Record<string, unknown> {
    for (const { name, codec } of this.#fields) value[name] = codec.read(r, name)
    return value
  }

  write(w: ByteWriter, value: Readonly<Record<string, unknown>>): void {
    for (const { name, codec } of this.#fields) codec.write(w, name, value[name])
  }
}

export type VariantOf<K extends string, C extends { readonly [tag: string]: Fields }> = {
  readonly [T in keyof C & string]: { readonly [P in K]: T } & StructOf<C[T]>
}[keyof C & string]

/** A tag, then the fields which belong to that tag. `key` is the tag's member in the union. */
export function variant<const K extends string, const C extends { readonly [tag: string]: Fields }>(
  key: K,
  tag: Codec<keyof C & string>,
  cases: C,
): Codec<VariantOf<K, C>> {
  const rows = new Map<string, FieldRow>(Object.entries(cases).map(([name, fields]) => [name, new FieldRow(fields)]))
  return {
    read(r) {
      const name = tag.read(r, key)
      const row = rows.get(name) as FieldRow
      return row.read(r, { [key]: name }) as VariantOf<K, C>
    },
    write(w, _f, value) {
      const name = value[key] as keyof C & string
      tag.write(w, key, name)
      const row = rows.get(name)
      if (row === undefined) throw new TpmError('input.malformed', `${key}: ${JSON.stringify(name)} is not known here`)
      row.write(w, value)
    },
  }
}

/** Reads `raw` as exactly one `codec`. `raw` is copied first: `Buffer.slice()` and later writes cannot reach the result. */
export function parse<T>(what: string, codec: Codec<T>, raw: Uint8Array, max = 0x10000): T {
  if (raw.length > max) throw new TpmError('input.too-large', `${what}: ${raw.length} bytes are over ${max}`)
  const reader = new Reader(what, new Uint8Array(raw), 'big')
  const value = codec.read(reader, what)
  reader.end()
  return value
}

/** The bytes of `value`, without an outer size unless the codec has one. */
export function encode<T>(what: string, codec: Codec<T>, value: T): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter('big')
  codec.write(writer, what, value)
  return writer.finish()
}
