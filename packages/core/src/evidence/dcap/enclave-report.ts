import { ByteReader } from '@vouchsafe/tpm/codec'
import { isZero, parsed } from '../parsed.ts'

/** REPORT body of an SGX enclave: of a quoting enclave, or the one that an SGX quote is about. */
export interface EnclaveReport {
  /** CPUSVN, 16 bytes. */
  readonly cpuSvn: Uint8Array
  readonly miscSelect: number
  /** ISVEXTPRODID, 16 bytes. */
  readonly isvExtProdId: Uint8Array
  /** ATTRIBUTES: flags and XFRM, 8 bytes each, little-endian. */
  readonly attributes: Uint8Array
  readonly debug: boolean
  /** MRENCLAVE and MRSIGNER, 32 bytes each. */
  readonly mrEnclave: Uint8Array
  readonly mrSigner: Uint8Array
  /** CONFIGID, 64 bytes: set by the host at launch. */
  readonly configId: Uint8Array
  readonly isvProdId: number
  readonly isvSvn: number
  readonly configSvn: number
  /** ISVFAMILYID, 16 bytes. */
  readonly isvFamilyId: Uint8Array
  /** REPORTDATA, 64 bytes: chosen by the enclave. */
  readonly reportData: Uint8Array
}

/**
 * @param raw - 384 bytes, little-endian. Copied.
 * @throws {VouchsafeError} `input.malformed`
 * @source Intel SDM volume 3D, table 38-21 (REPORT)
 */
export function parseEnclaveReport(what: string, raw: Uint8Array): EnclaveReport {
  return parsed(() => {
    const r = new ByteReader(what, new Uint8Array(raw), 'little')
    const reserved = (length: number) => {
      if (!isZero(r.view('reserved', length))) throw r.malformed('reserved', 'not zero')
    }
    const cpuSvn = r.view('CPUSVN', 16)
    const miscSelect = r.u32('MISCSELECT')
    reserved(12)
    const isvExtProdId = r.view('ISVEXTPRODID', 16)
    const attributes = r.view('ATTRIBUTES', 16)
    const mrEnclave = r.view('MRENCLAVE', 32)
    reserved(32)
    const mrSigner = r.view('MRSIGNER', 32)
    reserved(32)
    const configId = r.view('CONFIGID', 64)
    const isvProdId = r.u16('ISVPRODID')
    const isvSvn = r.u16('ISVSVN')
    const configSvn = r.u16('CONFIGSVN')
    reserved(42)
    const isvFamilyId = r.view('ISVFAMILYID', 16)
    const reportData = r.view('REPORTDATA', 64)
    r.end()
    const debug = ((attributes[0] ?? 0) & 0x02) !== 0
    return {
      cpuSvn,
      miscSelect,
      isvExtProdId,
      attributes,
      debug,
      mrEnclave,
      mrSigner,
      configId,
      isvProdId,
      isvSvn,
      configSvn,
      isvFamilyId,
      reportData,
    }
  })
}
