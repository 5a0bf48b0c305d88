import { ByteWriter } from '@vouchsafe/tpm/codec'

/*
 * The UEFI structures that stand in boot logs. All are little-endian.
 * @source TCG PC Client Platform Firmware Profile 1.06: Event Logging; UEFI Specification 2.10
 */

/** UEFI_VARIABLE_DATA: what the events about EFI variables hold and measure. */
export function efiVariable(guid: string, name: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  return new ByteWriter('little', 64)
    .raw(efiGuid(guid))
    .u64('UnicodeNameLength', BigInt(name.length))
    .u64('VariableDataLength', BigInt(value.length))
    .raw(utf16(name))
    .raw(value)
    .finish()
}

/** EFI_SIGNATURE_LIST with one signature: what the Secure Boot databases hold. */
export function signatureList(type: string, owner: string, signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const data = signatureData(owner, signature)
  return new ByteWriter('little')
    .raw(efiGuid(type))
    .u32('SignatureListSize', 28 + data.length)
    .u32('SignatureHeaderSize', 0)
    .u32('SignatureSize', data.length)
    .raw(data)
    .finish()
}

/** EFI_SIGNATURE_DATA */
export function signatureData(owner: string, signature: Uint8Array): Uint8Array<ArrayBuffer> {
  return new ByteWriter('little').raw(efiGuid(owner)).raw(signature).finish()
}

/** EFI_LOAD_OPTION: what a Boot#### variable holds. */
export function loadOption(description: string, file: string): Uint8Array<ArrayBuffer> {
  const path = filePath(file)
  return new ByteWriter('little')
    .u32('Attributes', 1) // active
    .u16('FilePathListLength', path.length)
    .raw(utf16(`${description}\0`))
    .raw(path)
    .finish()
}

/** UEFI_PLATFORM_FIRMWARE_BLOB2: a description, then where the blob lies. */
export function firmwareBlob(description: string, base: bigint, length: bigint): Uint8Array<ArrayBuffer> {
  return new ByteWriter('little')
    .u8('BlobDescriptionSize', description.length)
    .raw(new Uint8Array(Buffer.from(description, 'latin1')))
    .u64('BlobBase', base)
    .u64('BlobLength', length)
    .finish()
}

/** UEFI_IMAGE_LOAD_EVENT */
export function imageLoadEvent(file: string): Uint8Array<ArrayBuffer> {
  const path = filePath(file)
  return new ByteWriter('little')
    .u64('ImageLocationInMemory', 0x7e000000n)
    .u64('ImageLengthInMemory', 0x100000n)
    .u64('ImageLinkTimeAddress', 0n)
    .u64('LengthOfDevicePath', BigInt(path.length))
    .raw(path)
    .finish()
}

/** UEFI_GPT_DATA of a disk without partitions: its header alone. */
export function gptData(diskGuid: string): Uint8Array<ArrayBuffer> {
  return new ByteWriter('little')
    .raw(new Uint8Array(Buffer.from('EFI PART', 'latin1')))
    .u32('Revision', 0x00010000)
    .u32('HeaderSize', 92)
    .u32('HeaderCRC32', 0)
    .u32('Reserved', 0)
    .u64('MyLBA', 1n)
    .u64('AlternateLBA', 0xffffn)
    .u64('FirstUsableLBA', 34n)
    .u64('LastUsableLBA', 0xffden)
    .raw(efiGuid(diskGuid))
    .u64('PartitionEntryLBA', 2n)
    .u32('NumberOfPartitionEntries', 128)
    .u32('SizeOfPartitionEntry', 128)
    .u32('PartitionEntryArrayCRC32', 0)
    .u64('NumberOfPartitions', 0n)
    .finish()
}

/** A device path: one media file node and the end node. */
function filePath(file: string): Uint8Array<ArrayBuffer> {
  const name = utf16(`${file}\0`)
  return new ByteWriter('little')
    .u8('Type', 4)
    .u8('SubType', 4)
    .u16('Length', 4 + name.length)
    .raw(name)
    .raw(Uint8Array.of(0x7f, 0xff, 4, 0))
    .finish()
}

/** UTF-16, little-endian, as UEFI writes all its text. */
export function utf16(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'utf16le'))
}

/** EFI_GUID: the first three groups little-endian, the rest in order. */
function efiGuid(text: string): Uint8Array {
  const [a = '', b = '', c = '', ...rest] = text.split('-')
  const reversed = [a, b, c].map((group) => Buffer.from(group, 'hex').reverse())
  return Buffer.concat([...reversed, Buffer.from(rest.join(''), 'hex')])
}
