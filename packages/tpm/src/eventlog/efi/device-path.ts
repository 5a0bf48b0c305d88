import { ByteReader } from '../../codec/byte-reader.ts'
import { toHex } from '../hex.ts'
import { readGuid } from './guid.ts'
import { readUtf16, withoutNul } from './text.ts'

const END = 0x7f
const MAX_NODES = 128

/**
 * An EFI device path in text, near the form that UEFI gives it: `PciRoot(0x0)/Pci(0x3,0x0)/\EFI\BOOT\BOOTX64.EFI`.
 * In event logs it says where an image was loaded from, and is not measured.
 *
 * @throws {TpmError} `input.malformed`
 * @source UEFI 2.10 section 10.3: Device Path Nodes
 */
export function describeDevicePath(bytes: Uint8Array): string {
  const r = new ByteReader('EFI device path', bytes, 'little')
  const nodes: string[] = []
  while (r.remaining > 0) {
    if (nodes.length === MAX_NODES) throw r.malformed('node', `more than ${MAX_NODES}`)
    const type = r.u8('type')
    const subType = r.u8('subType')
    const length = r.u16('length')
    if (length < 4) throw r.malformed('length', `${length} is less than a node's header`)
    const node = r.part('node', length - 4)
    if (type !== END) nodes.push(describeNode(type, subType, node))
    else if (subType === 0x01) nodes.push(',') // another path follows
  }
  return nodes.join('/').replaceAll('/,/', ',')
}

function describeNode(type: number, subType: number, r: ByteReader): string {
  switch ((type << 8) | subType) {
    case 0x0101: {
      const pciFunction = r.u8('function')
      return `Pci(${hex(r.u8('device'))},${hex(pciFunction)})`
    }
    case 0x0103:
      r.u32('memoryType')
      return `MemoryMapped(${hex(r.u64('start'))},${hex(r.u64('end'))})`
    case 0x0104:
      return `VenHw(${readGuid(r, 'vendor')})`
    case 0x0201: {
      const id = r.u32('hid')
      return id === 0x0a0341d0 ? `PciRoot(${hex(r.u32('uid'))})` : `Acpi(${hex(id)},${hex(r.u32('uid'))})`
    }
    case 0x0302: {
      const target = r.u16('target')
      return `Scsi(${hex(target)},${hex(r.u16('lun'))})`
    }
    case 0x0305: {
      const port = r.u8('port')
      return `Usb(${hex(port)},${hex(r.u8('interface'))})`
    }
    case 0x0312:
      return `Sata(${hex(r.u16('port'))},${hex(r.u16('multiplier'))},${hex(r.u16('lun'))})`
    case 0x0317:
      return `NVMe(${hex(r.u32('namespace'))})`
    case 0x0401:
      return describePartition(r)
    case 0x0403:
      return `VenMedia(${readGuid(r, 'vendor')})`
    case 0x0404:
      return withoutNul(readUtf16(r, 'path', r.remaining))
    case 0x0406:
      return `FvFile(${readGuid(r, 'name')})`
    case 0x0407:
      return `Fv(${readGuid(r, 'name')})`
    case 0x0408:
      r.u32('reserved')
      return `Offset(${hex(r.u64('start'))},${hex(r.u64('end'))})`
    default:
      return `Path(${type},${subType},${toHex(r.rest())})`
  }
}

function describePartition(r: ByteReader): string {
  const number = r.u32('partition')
  const start = r.u64('start')
  const size = r.u64('size')
  const signature = r.part('signature', 16)
  r.u8('format')
  const gpt = r.u8('signatureType') === 2
  return gpt
    ? `HD(${number},GPT,${readGuid(signature, 'guid')},${hex(start)},${hex(size)})`
    : `HD(${number},MBR,${toHex(signature.rest().slice(0, 4))},${hex(start)},${hex(size)})`
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}
