import { ByteReader } from '@vouchsafe/tpm/codec'
import { parsed } from '../parsed.ts'

/** TD_ATTRIBUTES, by what they mean for whoever trusts the TD. */
export interface TdAttributes {
  readonly raw: bigint
  /** Any of the bits 0 to 7 (TUD): the host may look into the TD. Bit 0 is DEBUG. */
  readonly debug: boolean
  /** LASS */
  readonly lass: boolean
  /** SEPT_VE_DISABLE: taking a page away cannot raise an exception that the host times. */
  readonly septVeDisable: boolean
  /** MIGRATABLE */
  readonly migratable: boolean
  /** PKS: supervisor protection keys. */
  readonly protectionKeys: boolean
  /** KL: Key Locker. */
  readonly keyLocker: boolean
  /** PERFMON: performance counters. */
  readonly perfmon: boolean
}

/** TDREPORT body of a quote as parsed. Measurements have 48 bytes. */
export interface TdReport {
  /** TEE_TCB_SVN, 16 bytes: of the module and its loader when the TD was launched. */
  readonly teeTcbSvn: Uint8Array
  /** MRSEAM and MRSIGNERSEAM: of the TDX module. */
  readonly mrSeam: Uint8Array
  readonly mrSignerSeam: Uint8Array
  /** SEAM_ATTRIBUTES, 8 bytes. */
  readonly seamAttributes: Uint8Array
  readonly attributes: TdAttributes
  /** XFAM: which processor features the TD may use. */
  readonly xfam: bigint
  /** MRTD: of the TD's initial memory, usually firmware only (D12). */
  readonly mrTd: Uint8Array
  /** MRCONFIGID, MROWNER, MROWNERCONFIG: set by the host at launch (D03). */
  readonly mrConfigId: Uint8Array
  readonly mrOwner: Uint8Array
  readonly mrOwnerConfig: Uint8Array
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  /** REPORTDATA, 64 bytes: chosen by the TD. */
  readonly reportData: Uint8Array
  /** TEE_TCB_SVN2, TDX 1.5: of the module that runs now. */
  readonly teeTcbSvn2?: Uint8Array
  /** MRSERVICETD, TDX 1.5: of the service TDs bound to this one, such as a migration TD. */
  readonly mrServiceTd?: Uint8Array
}

/**
 * @param raw - 584 bytes (TDX 1.0) or 648 (TDX 1.5), little-endian. The result shares memory with it.
 * @throws {VouchsafeError} `input.malformed`
 * @source Intel TDX DCAP Quoting Library API, appendix A.3.2 and A.4.2; TDX Module Base Specification, ATTRIBUTES
 */
export function parseTdReport(raw: Uint8Array, kind: 'td10' | 'td15'): TdReport {
  return parsed(() => {
    const r = new ByteReader('TD report', raw, 'little')
    const teeTcbSvn = r.view('TEE_TCB_SVN', 16)
    const mrSeam = r.view('MRSEAM', 48)
    const mrSignerSeam = r.view('MRSIGNERSEAM', 48)
    const seamAttributes = r.view('SEAMATTRIBUTES', 8)
    const attributes = readAttributes(r.u32('TDATTRIBUTES'), r.u32('TDATTRIBUTES'))
    const xfam = r.u64('XFAM')
    const mrTd = r.view('MRTD', 48)
    const mrConfigId = r.view('MRCONFIGID', 48)
    const mrOwner = r.view('MROWNER', 48)
    const mrOwnerConfig = r.view('MROWNERCONFIG', 48)
    const rtmrs = [r.view('RTMR0', 48), r.view('RTMR1', 48), r.view('RTMR2', 48), r.view('RTMR3', 48)] as const
    const reportData = r.view('REPORTDATA', 64)
    const later =
      kind === 'td15' ? { teeTcbSvn2: r.view('TEE_TCB_SVN2', 16), mrServiceTd: r.view('MRSERVICETD', 48) } : {}
    r.end()
    return {
      teeTcbSvn,
      mrSeam,
      mrSignerSeam,
      seamAttributes,
      attributes,
      xfam,
      mrTd,
      mrConfigId,
      mrOwner,
      mrOwnerConfig,
      rtmrs,
      reportData,
      ...later,
    }
  })
}

function readAttributes(low: number, high: number): TdAttributes {
  return {
    raw: (BigInt(high) << 32n) | BigInt(low),
    debug: (low & 0xff) !== 0,
    lass: (low & (1 << 27)) !== 0,
    septVeDisable: (low & (1 << 28)) !== 0,
    migratable: (low & (1 << 29)) !== 0,
    protectionKeys: (low & (1 << 30)) !== 0,
    keyLocker: (low & (1 << 31)) !== 0,
    perfmon: high >>> 31 !== 0,
  }
}
