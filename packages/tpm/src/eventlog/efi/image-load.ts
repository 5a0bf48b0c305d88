import { ByteReader } from '../../codec/byte-reader.ts'
import { describeDevicePath } from './device-path.ts'

const HEADER_BYTES = 32

/** Whether there is a path: boot loaders that start images by themselves leave it out, or leave garbage. */
export function hasImageLoadPath(bytes: Uint8Array): boolean {
  if (bytes.length <= HEADER_BYTES) return false
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(HEADER_BYTES - 8, true)
  return length === BigInt(bytes.length - HEADER_BYTES)
}

/**
 * Reads where an image was loaded from, out of an EFI_IMAGE_LOAD_EVENT. None of it is measured: the digest is that of
 * the image itself (Authenticode form).
 *
 * @throws {TpmError} `input.malformed`
 * @source TCG PC Client Platform Firmware Profile 1.06: UEFI_IMAGE_LOAD_EVENT
 */
export function parseImageLoadPath(bytes: Uint8Array): string {
  const r = new ByteReader('UEFI_IMAGE_LOAD_EVENT', bytes, 'little')
  r.view('location, length and link time', 24)
  const pathBytes = r.u64('devicePathLength')
  if (pathBytes !== BigInt(r.remaining))
    throw r.malformed('devicePathLength', `${pathBytes}, but ${r.remaining} are left`)
  return describeDevicePath(r.rest())
}
