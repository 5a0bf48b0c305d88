import { ByteReader } from '../../codec/byte-reader.ts'
import { describeDevicePath } from './device-path.ts'
import { decodeUtf16 } from './text.ts'

/** A Boot#### variable: what firmware can start. */
export interface BootOption {
  readonly attributes: number
  readonly description: string
  /** Where the application lies, in text. */
  readonly path: string
  /** Handed to the application when it starts. */
  readonly optionalData: Uint8Array
}

/**
 * Reads an EFI_LOAD_OPTION.
 *
 * @throws {TpmError} `input.malformed`
 * @source UEFI 2.10 section 3.1.3
 */
export function parseBootOption(bytes: Uint8Array): BootOption {
  const r = new ByteReader('EFI_LOAD_OPTION', bytes, 'little')
  const attributes = r.u32('attributes')
  const pathBytes = r.u16('filePathListLength')
  const start = r.offset
  while (r.u16('description') !== 0);
  const description = decodeUtf16(bytes.subarray(start, r.offset - 2))
  if (description === undefined) throw r.malformed('description', 'not UTF-16')
  const path = describeDevicePath(r.view('filePathList', pathBytes))
  return { attributes, description, path, optionalData: r.rest() }
}

/**
 * Reads BootOrder: numbers of Boot#### variables, first choice first.
 *
 * @throws {TpmError} `input.malformed`
 */
export function parseBootOrder(bytes: Uint8Array): readonly number[] {
  const r = new ByteReader('BootOrder', bytes, 'little')
  const order: number[] = []
  while (r.remaining > 0) order.push(r.u16('option'))
  return order
}
