import { ByteReader } from '@vouchsafe/tpm/codec'
import { toHex } from '../../base/encoding.ts'
import { isZero, parsed } from '../parsed.ts'

/** GUIDs of a certificate table's entries. @source SEV-ES Guest-Hypervisor Communication Block 2.04, section 4.1.8.1 */
export const SNP_TABLE_ENTRIES = {
  vcek: '63da758d-e664-4564-adc5-f4b93be8accd',
  vlek: 'a8074bc2-a25a-483e-aae6-39c045a0b8a1',
  ask: '4ab7b379-bbac-4fe4-a02f-05aef327c782',
  ark: 'c0b406a4-a803-4952-9743-3fb6014cd0ae',
  gceLaunchEndorsement: '9f4116cd-c503-4f5a-8f6f-fb68882f4ce2',
} as const

const MAX_ENTRIES = 32

/**
 * Reads the table that the host hands the guest beside its report (`auxblob` of configfs-tsm). All of it is the host's
 * word: certificates count only once their chain is verified.
 *
 * @returns Contents by GUID in lower case. Entries under GUIDs unknown to us are kept; one GUID twice is refused.
 * @throws {VouchsafeError} `input.malformed`
 */
export function parseSnpCertificateTable(raw: Uint8Array): ReadonlyMap<string, Uint8Array> {
  return parsed(() => {
    const bytes = new Uint8Array(raw)
    const r = new ByteReader('SNP certificate table', bytes, 'little')
    const entries: { guid: string; offset: number; length: number }[] = []
    for (;;) {
      const guid = r.take('guid', 16)
      const offset = r.u32('offset')
      const length = r.u32('length')
      if (isZero(guid)) {
        if (offset !== 0 || length !== 0) throw r.malformed('terminator', 'not all zero')
        break
      }
      if (entries.length === MAX_ENTRIES) throw r.malformed('entries', `over ${MAX_ENTRIES}`)
      entries.push({ guid: formatGuid(guid), offset, length })
    }
    const header = r.offset
    const contents = new Map<string, Uint8Array>()
    for (const { guid, offset, length } of entries) {
      // plain numbers: the sum of two u32 cannot wrap here
      if (offset < header || offset + length > bytes.length) throw r.malformed(guid, 'lies outside the table')
      if (contents.has(guid)) throw r.malformed(guid, 'twice')
      contents.set(guid, bytes.slice(offset, offset + length))
    }
    return contents
  })
}

/** In this table, unlike in UEFI, a GUID's bytes stand in the order in which it is written. */
function formatGuid(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
