import { TpmError } from '../codec/errors.ts'
import type { ByteReader } from '../codec/byte-reader.ts'
import type { ByteWriter } from '../codec/byte-writer.ts'

/**
 * A little-endian structure, field after field in its own order: numbers by their size, bytes by their count. A field
 * without name is reserved: zero, and with no place in the message.
 */
export type Layout<K extends string> = readonly (readonly [
  field: K | '',
  kind: 'u8' | 'u16' | 'u32' | 'u64' | number,
])[]

type Values = Record<string, unknown>

/** Reads the fields of `layout`. @throws {TpmError} `input.malformed`, also for reserved bytes that are not zero. */
export function readLayout(r: ByteReader, layout: Layout<string>): Values {
  const values: Values = {}
  for (const [field, kind] of layout) {
    if (typeof kind === 'number') {
      const bytes = r.take(field === '' ? 'reserved' : field, kind)
      if (field !== '') values[field] = bytes
      else if (bytes.some((byte) => byte !== 0))
        throw r.malformed('reserved', 'not zero, and the message has no place for it')
    } else values[field] = r[kind](field)
  }
  return values
}

/** Writes the fields of `layout`. @throws {TpmError} `input.malformed` for numbers that are too large and bytes too few or many. */
export function writeLayout(w: ByteWriter, layout: Layout<string>, message: object): void {
  const values = message as Values
  for (const [field, kind] of layout) {
    const value = values[field]
    if (typeof kind === 'number') w.raw(field === '' ? new Uint8Array(kind) : sized(field, value, kind))
    else if (kind === 'u64' && typeof value === 'bigint') w.u64(field, value)
    else if (kind !== 'u64' && typeof value === 'number') w[kind](field, value)
    else throw new TpmError('input.malformed', `${field}: not a number`)
  }
}

function sized(field: string, value: unknown, length: number): Uint8Array {
  if (value instanceof Uint8Array && value.length === length) return value
  const found = value instanceof Uint8Array ? `${value.length} bytes` : 'no bytes'
  throw new TpmError('input.malformed', `${field}: ${found}, wanted ${length}`)
}
