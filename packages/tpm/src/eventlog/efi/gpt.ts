import { ByteReader } from '../../codec/byte-reader.ts'
import { readGuid } from './guid.ts'
import { decodeUtf16 } from './text.ts'

export interface GptPartition {
  readonly type: string
  readonly id: string
  readonly firstBlock: bigint
  readonly lastBlock: bigint
  readonly attributes: bigint
  readonly name: string
}

/** The partition table of the disk that was booted from. */
export interface GptTable {
  readonly diskId: string
  readonly partitions: readonly GptPartition[]
}

const SIGNATURE = 0x5452415020494645n // "EFI PART"
const HEADER_BYTES = 92
const ENTRY_BYTES = 128
const MAX_PARTITIONS = 1024n

/**
 * Reads a UEFI_GPT_DATA: the table's header, and its used entries.
 *
 * @throws {TpmError} `input.malformed`
 * @source TCG PC Client Platform Firmware Profile 1.06: UEFI_GPT_DATA; UEFI 2.10 section 5.3
 */
export function parseGptTable(bytes: Uint8Array): GptTable {
  const r = new ByteReader('UEFI_GPT_DATA', bytes, 'little')
  const header = r.part('header', HEADER_BYTES)
  if (header.u64('signature') !== SIGNATURE) throw header.malformed('signature', 'not EFI PART')
  header.u32('revision')
  if (header.u32('headerSize') !== HEADER_BYTES) throw header.malformed('headerSize', `not ${HEADER_BYTES}`)
  header.view('checksums and blocks', 40)
  const diskId = readGuid(header, 'diskId')
  header.u64('entriesBlock')
  header.u32('entryCount')
  if (header.u32('entrySize') !== ENTRY_BYTES) throw header.malformed('entrySize', `not ${ENTRY_BYTES}`)
  header.u32('entriesChecksum')
  header.end()
  const count = r.u64('numberOfPartitions')
  if (count > MAX_PARTITIONS) throw r.malformed('numberOfPartitions', `${count} is over ${MAX_PARTITIONS}`)
  const partitions = Array.from({ length: Number(count) }, () => readPartition(r))
  r.end()
  return { diskId, partitions }
}

function readPartition(r: ByteReader): GptPartition {
  const type = readGuid(r, 'partitionType')
  const id = readGuid(r, 'partitionId')
  const firstBlock = r.u64('firstBlock')
  const lastBlock = r.u64('lastBlock')
  const attributes = r.u64('attributes')
  const [name = ''] = (decodeUtf16(r.view('name', 72)) ?? '').split('\0')
  return { type, id, firstBlock, lastBlock, attributes, name }
}
