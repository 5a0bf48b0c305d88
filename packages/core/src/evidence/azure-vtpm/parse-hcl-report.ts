import { ByteReader } from '@vouchsafe/tpm/codec'
import type { HashName } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { isZero, parsed } from '../parsed.ts'

/** What a paravisor (HCL) writes into NV index 0x01400001. Nothing in it is authenticated. */
export interface HclReport {
  readonly kind: 'snp' | 'tdx'
  /** The SNP report of 1184 bytes; a TDREPORT of 1024 bytes, which only its own platform can check. */
  readonly hardwareReport: Uint8Array
  /** How `runtimeData` is hashed into the hardware report. */
  readonly hash: HashName
  /** JSON, byte for byte: the TPM's keys and the VM's configuration. */
  readonly runtimeData: Uint8Array
}

const HARDWARE_REPORT = 1184
const TDREPORT = 1024
const KINDS = { 2: 'snp', 4: 'tdx' } as const
const HASHES = { 1: 'sha256', 2: 'sha384', 3: 'sha512' } as const
const MAX_BYTES = 64 * 1024

/**
 * @param raw - The index's content, little-endian; zeros may follow. Copied.
 * @throws {VouchsafeError} `input.malformed` naming the field; `evidence.unsupported` for other report types
 * @source Microsoft Azure confidential VM guest attestation design: attestation report
 */
export function parseHclReport(raw: Uint8Array): HclReport {
  if (raw.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `HCL report: over ${MAX_BYTES} bytes`)
  return parsed(() => {
    const r = new ByteReader('HCL report', new Uint8Array(raw), 'little')
    const is = (field: string, wanted: number) => {
      const found = r.u32(field)
      if (found !== wanted) throw r.malformed(field, `${found}, wanted ${wanted}`)
    }
    is('signature', 0x414c4348) // "HCLA"
    const version = r.u32('version')
    if (version !== 1 && version !== 2) throw r.malformed('version', `${version}, wanted 1 or 2`)
    const reportSize = r.u32('report_size')
    is('request_type', 2)
    is('status', 0)
    if (!isZero(r.view('reserved', 12))) throw r.malformed('reserved', 'not zero')
    const hardware = r.take('hardware report', HARDWARE_REPORT)
    const dataSize = r.u32('data_size')
    is('data_version', 1)
    const type = r.u32('report_type')
    const kind = KINDS[type as keyof typeof KINDS]
    if (kind === undefined)
      throw new VouchsafeError('evidence.unsupported', `HCL report: report_type ${type}, wanted 2 (SNP) or 4 (TDX)`)
    const hashType = r.u32('hash_type')
    const hash = HASHES[hashType as keyof typeof HASHES]
    if (hash === undefined) throw r.malformed('hash_type', `${hashType} is not known`)
    const runtimeData = r.take('variable_data', r.u32('variable_data_size'))
    if (dataSize !== runtimeData.length + 20)
      throw r.malformed('data_size', `${dataSize}, wanted ${runtimeData.length + 20}`)
    if (reportSize !== r.offset) throw r.malformed('report_size', `${reportSize}, wanted ${r.offset}`)
    if (!isZero(r.view('padding', r.remaining))) throw r.malformed('padding', 'not zero')
    if (kind === 'snp') return { kind, hardwareReport: hardware, hash, runtimeData }
    if (!isZero(hardware.subarray(TDREPORT))) throw r.malformed('hardware report', 'bytes after the TDREPORT')
    return { kind, hardwareReport: hardware.slice(0, TDREPORT), hash, runtimeData }
  })
}
