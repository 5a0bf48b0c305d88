import { ByteReader } from '@vouchsafe/tpm/codec'
import { VouchsafeError } from '../../base/errors.ts'
import { isZero, parsed } from '../parsed.ts'
import { readGuestPolicy, readPlatformInfo, type SnpGuestPolicy, type SnpPlatformInfo } from './guest-policy.ts'

export interface SnpFirmwareVersion {
  readonly major: number
  readonly minor: number
  readonly build: number
}

/** An attestation report as parsed. Nothing in it is authenticated: pass it to `verifySnpReport`. */
export interface SnpReport {
  /** All 1184 bytes. */
  readonly raw: Uint8Array
  readonly version: 2 | 3 | 5
  readonly guestSvn: number
  readonly policy: SnpGuestPolicy
  /** FAMILY_ID and IMAGE_ID: chosen by the guest's owner, in the ID block; zero without one. 16 bytes each. */
  readonly familyId: Uint8Array
  readonly imageId: Uint8Array
  /** The privilege level that asked for the report: 0 is the most privileged. */
  readonly vmpl: number
  readonly platformInfo: SnpPlatformInfo
  readonly authorKeyEnabled: boolean
  readonly signingKey: 'vcek' | 'vlek'
  /** REPORT_DATA, 64 bytes: chosen by the guest that asked. */
  readonly reportData: Uint8Array
  /** MEASUREMENT, 48 bytes: of the guest's initial memory. */
  readonly measurement: Uint8Array
  /** HOST_DATA, 32 bytes: chosen by the host at launch (D03). */
  readonly hostData: Uint8Array
  /** ID_KEY_DIGEST and AUTHOR_KEY_DIGEST, SHA-384: who signed the ID block, and who vouched for that key. */
  readonly idKeyDigest: Uint8Array
  readonly authorKeyDigest: Uint8Array
  /** REPORT_ID and REPORT_ID_MA, 32 bytes each: of this guest, and of its migration agent. */
  readonly reportId: Uint8Array
  readonly migrationAgentReportId: Uint8Array
  /** The four TCB_VERSIONs, 8 bytes each; their layout depends on the product, see `decodeTcb`. */
  readonly currentTcb: Uint8Array
  readonly reportedTcb: Uint8Array
  readonly committedTcb: Uint8Array
  readonly launchTcb: Uint8Array
  /** From version 3. */
  readonly cpu?: { readonly family: number; readonly model: number; readonly stepping: number }
  /** CHIP_ID, 64 bytes; all zero when the host hides it. Turin uses the first 8. */
  readonly chipId: Uint8Array
  readonly currentFirmware: SnpFirmwareVersion
  readonly committedFirmware: SnpFirmwareVersion
  /** LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR, from version 5: which mitigations were active. */
  readonly launchMitigations?: bigint
  readonly currentMitigations?: bigint
  /** The signed range: everything before the signature. */
  readonly signed: Uint8Array
  /** ECDSA P-384, r and s big-endian, 48 bytes each. */
  readonly signature: Uint8Array
}

const SIZE = 1184
const SIGNED = 0x2a0

/**
 * Reads an SEV-SNP attestation report: 1184 bytes, little-endian, reserved bytes zero for its version.
 *
 * @param raw - Copied.
 * @throws {VouchsafeError} `input.malformed` naming the field; `evidence.unsupported` for another version, and for a
 *   report that the platform did not sign; `evidence.algorithm` for another signature algorithm.
 * @source AMD SEV-SNP Firmware ABI Specification 1.58, table 23 (ATTESTATION_REPORT) and table 139 (signature)
 */
export function parseSnpReport(raw: Uint8Array): SnpReport {
  return parsed(() => readReport(new Uint8Array(raw)))
}

function readReport(raw: Uint8Array): SnpReport {
  const r = new ByteReader('SNP report', raw, 'little')
  if (raw.length !== SIZE) throw r.malformed('length', `${raw.length} bytes, wanted ${SIZE}`)
  const version = r.u32('VERSION')
  if (version !== 2 && version !== 3 && version !== 5)
    throw new VouchsafeError('evidence.unsupported', `SNP report: version ${version}, wanted 2, 3 or 5`)
  const guestSvn = r.u32('GUEST_SVN')
  const policy = readGuestPolicy(r)
  const familyId = r.view('FAMILY_ID', 16)
  const imageId = r.view('IMAGE_ID', 16)
  const vmpl = r.u32('VMPL')
  if (vmpl > 3) throw r.malformed('VMPL', `${vmpl} is no level of a guest`)
  const algorithm = r.u32('SIGNATURE_ALGO')
  if (algorithm !== 1)
    throw new VouchsafeError('evidence.algorithm', `SNP report: SIGNATURE_ALGO ${algorithm}, wanted 1 (ECDSA P-384)`)
  const currentTcb = r.view('CURRENT_TCB', 8)
  const platformInfo = readPlatformInfo(r)
  const { authorKeyEnabled, signingKey } = readSignerInfo(r)
  reserved(r, 4)
  const reportData = r.view('REPORT_DATA', 64)
  const measurement = r.view('MEASUREMENT', 48)
  const hostData = r.view('HOST_DATA', 32)
  const idKeyDigest = r.view('ID_KEY_DIGEST', 48)
  const authorKeyDigest = r.view('AUTHOR_KEY_DIGEST', 48)
  const reportId = r.view('REPORT_ID', 32)
  const migrationAgentReportId = r.view('REPORT_ID_MA', 32)
  const reportedTcb = r.view('REPORTED_TCB', 8)
  const cpu =
    version === 2
      ? undefined
      : { family: r.u8('CPUID_FAM_ID'), model: r.u8('CPUID_MOD_ID'), stepping: r.u8('CPUID_STEP') }
  reserved(r, version === 2 ? 24 : 21)
  const chipId = r.view('CHIP_ID', 64)
  const committedTcb = r.view('COMMITTED_TCB', 8)
  const currentFirmware = readFirmwareVersion(r, 'CURRENT')
  const committedFirmware = readFirmwareVersion(r, 'COMMITTED')
  const launchTcb = r.view('LAUNCH_TCB', 8)
  const mitigations =
    version === 5
      ? { launchMitigations: r.u64('LAUNCH_MIT_VECTOR'), currentMitigations: r.u64('CURRENT_MIT_VECTOR') }
      : {}
  reserved(r, SIGNED - r.offset)
  const signature = readSignature(r)
  r.end()
  return {
    raw,
    version,
    guestSvn,
    policy,
    familyId,
    imageId,
    vmpl,
    platformInfo,
    authorKeyEnabled,
    signingKey,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    migrationAgentReportId,
    currentTcb,
    reportedTcb,
    committedTcb,
    launchTcb,
    chipId,
    currentFirmware,
    committedFirmware,
    signed: raw.subarray(0, SIGNED),
    signature,
    ...(cpu && { cpu }), // last: what stands after a spread is added to the object one by one
    ...mitigations,
  }
}

function readSignerInfo(r: ByteReader): { authorKeyEnabled: boolean; signingKey: 'vcek' | 'vlek' } {
  const bits = r.u32('KEY_INFO')
  if (bits >>> 5 !== 0) throw r.malformed('KEY_INFO', 'reserved bits are set')
  const signingKey = (['vcek', 'vlek'] as const)[(bits >>> 2) & 7]
  // with MASK_CHIP_KEY the firmware writes zeros in place of a signature
  if ((bits & 2) !== 0 || bits >>> 2 === 7)
    throw new VouchsafeError(
      'evidence.unsupported',
      'SNP report: KEY_INFO: the host masked the chip key, so nothing is signed',
    )
  if (signingKey === undefined) throw r.malformed('KEY_INFO', `SIGNING_KEY ${bits >>> 2} is reserved`)
  return { authorKeyEnabled: (bits & 1) !== 0, signingKey }
}

function readFirmwareVersion(r: ByteReader, field: string): SnpFirmwareVersion {
  const build = r.u8(`${field}_BUILD`)
  const minor = r.u8(`${field}_MINOR`)
  const major = r.u8(`${field}_MAJOR`)
  reserved(r, 1)
  return { major, minor, build }
}

/** r and s stand there in 72 little-endian bytes each, and the rest of 512 bytes is zero. */
function readSignature(r: ByteReader): Uint8Array {
  const signature = new Uint8Array(96)
  for (let i = 0; i < 2; i++) {
    const field = i === 0 ? 'SIGNATURE.R' : 'SIGNATURE.S'
    const number = r.view(field, 72)
    if (!isZero(number.subarray(48))) throw r.malformed(field, 'longer than the P-384 field')
    for (let n = 0; n < 48; n++) signature[i * 48 + n] = number[47 - n] ?? 0
  }
  reserved(r, 368)
  return signature
}

function reserved(r: ByteReader, length: number): void {
  if (length === 0) return
  const before = r.offset
  if (!isZero(r.view('reserved', length))) throw r.malformed(`reserved bytes from 0x${before.toString(16)}`, 'not zero')
}
