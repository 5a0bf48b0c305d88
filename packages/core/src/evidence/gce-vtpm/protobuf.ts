import { VouchsafeError } from '../../base/errors.ts'

/** A field of a message: a number, or bytes that may be text or a message in turn. */
export type ProtobufField = { readonly number: number } & (
  { readonly kind: 'varint'; readonly value: bigint } | { readonly kind: 'bytes'; readonly value: Uint8Array }
)

/**
 * Reads the fields of one protobuf message: varints and length-delimited ones, which is all that Google's launch
 * endorsement has. Anything else, cut short or over-long is refused.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source Protocol Buffers: Encoding
 */
export function readProtobuf(what: string, bytes: Uint8Array): readonly ProtobufField[] {
  let at = 0
  const malformed = (why: string) => new VouchsafeError('endorsement.malformed', `${what}: at offset ${at}: ${why}`)
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw malformed('cut short')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value >> 64n !== 0n) throw malformed('varint over 64 bits')
        return value
      }
    }
    throw malformed('varint over 10 bytes')
  }
  const fields: ProtobufField[] = []
  while (at < bytes.length) {
    const key = varint()
    const number = Number(key >> 3n)
    if (number < 1 || number > 0x1fffffff) throw malformed(`field number ${number}`)
    const wire = key & 7n
    if (wire === 0n) fields.push({ number, kind: 'varint', value: varint() })
    else if (wire === 2n) {
      const length = varint()
      if (length > BigInt(bytes.length - at)) throw malformed(`wants ${length} bytes, ${bytes.length - at} are left`)
      fields.push({ number, kind: 'bytes', value: bytes.slice(at, at + Number(length)) })
      at += Number(length)
    } else throw malformed(`wire type ${wire}`)
    if (fields.length > 4096) throw malformed('over 4096 fields')
  }
  return fields
}

/** The one bytes field with this number; undefined when there is none. One that stands there twice is refused. */
export function bytesField(what: string, fields: readonly ProtobufField[], number: number): Uint8Array | undefined {
  const field = single(what, fields, number)
  if (field !== undefined && field.kind !== 'bytes')
    throw new VouchsafeError('endorsement.malformed', `${what}: field ${number} is a number`)
  return field?.value
}

/** The one number field with this number, 0 when there is none, as proto3 has it. */
export function numberField(what: string, fields: readonly ProtobufField[], number: number): bigint {
  const field = single(what, fields, number)
  if (field !== undefined && field.kind !== 'varint')
    throw new VouchsafeError('endorsement.malformed', `${what}: field ${number} is no number`)
  return field?.value ?? 0n
}

function single(what: string, fields: readonly ProtobufField[], number: number): ProtobufField | undefined {
  const [first, ...more] = fields.filter((f) => f.number === number)
  if (more.length > 0) throw new VouchsafeError('endorsement.malformed', `${what}: field ${number} stands there twice`)
  return first
}
