import { ByteReader } from '../../codec/byte-reader.ts'
import { ByteWriter } from '../../codec/byte-writer.ts'
import { encodeGuid, readGuid } from './guid.ts'
import { encodeUtf16, readUtf16 } from './text.ts'

export interface EfiVariable {
  /** Lower-case GUID. A name means nothing without its vendor. */
  readonly vendor: string
  readonly name: string
  readonly data: Uint8Array
}

const MAX_NAME_CHARS = 1024n

/**
 * Reads a UEFI_VARIABLE_DATA, filled exactly by its name and its data.
 *
 * @throws {TpmError} `input.malformed`
 * @source TCG PC Client Platform Firmware Profile 1.06: UEFI_VARIABLE_DATA
 */
export function parseEfiVariable(bytes: Uint8Array): EfiVariable {
  const { variable, r } = readVariable(bytes)
  r.end()
  return variable
}

/**
 * As `parseEfiVariable`, for what shim before version 15 logged: up to seven bytes of uninitialised memory may follow.
 *
 * @returns `excess`: how many bytes follow.
 */
export function parseEfiVariableWithExcess(bytes: Uint8Array): {
  readonly variable: EfiVariable
  readonly excess: number
} {
  const { variable, r } = readVariable(bytes)
  if (r.remaining > 7) r.end()
  return { variable, excess: r.remaining }
}

/** Writes a UEFI_VARIABLE_DATA. `parseEfiVariable` gives it back. */
export function encodeEfiVariable({ vendor, name, data }: EfiVariable): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('little', 32 + 2 * name.length + data.length).raw(encodeGuid(vendor))
  w.u64('nameLength', BigInt(name.length)).u64('dataLength', BigInt(data.length))
  return w.raw(encodeUtf16(name)).raw(data).finish()
}

function readVariable(bytes: Uint8Array): { variable: EfiVariable; r: ByteReader } {
  const r = new ByteReader('UEFI_VARIABLE_DATA', bytes, 'little')
  const vendor = readGuid(r, 'vendor')
  const nameChars = r.u64('nameLength')
  const dataLength = r.u64('dataLength')
  if (nameChars > MAX_NAME_CHARS) throw r.malformed('nameLength', `${nameChars} is over ${MAX_NAME_CHARS}`)
  const name = readUtf16(r, 'name', 2 * Number(nameChars))
  if (name.includes('\0')) throw r.malformed('name', 'holds a NUL')
  if (dataLength > BigInt(r.remaining)) throw r.malformed('dataLength', `${dataLength} is over ${r.remaining}`)
  return { variable: { vendor, name, data: r.view('data', Number(dataLength)) }, r }
}
