import { ByteReader } from '../../codec/byte-reader.ts'
import { describeDevicePath } from './device-path.ts'

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
