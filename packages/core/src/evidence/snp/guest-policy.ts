import type { ByteReader } from '@vouchsafe/tpm/codec'

/** POLICY: what the guest's owner demanded of the platform at launch. Signed by the platform, enforced by it. */
export interface SnpGuestPolicy {
  readonly abiMajor: number
  readonly abiMinor: number
  /** SMT: siblings of the guest's cores may run something else. */
  readonly smtAllowed: boolean
  /** MIGRATE_MA: a migration agent may move the guest's memory elsewhere. */
  readonly migrationAgentAllowed: boolean
  /** DEBUG: the host may decrypt the guest's memory. */
  readonly debugAllowed: boolean
  /** SINGLE_SOCKET: demanded. */
  readonly singleSocketRequired: boolean
  /** CXL_ALLOW */
  readonly cxlAllowed: boolean
  /** MEM_AES_256_XTS: demanded. */
  readonly aes256XtsRequired: boolean
  /** RAPL_DIS: demanded. */
  readonly raplDisabledRequired: boolean
  /** CIPHERTEXT_HIDING_DRAM: demanded. */
  readonly ciphertextHidingRequired: boolean
  /** PAGE_SWAP_DISABLE: demanded. */
  readonly pageSwapDisabledRequired: boolean
}

/** Reads POLICY: bit 17 must be set, 26 and above must not. @source AMD SEV-SNP Firmware ABI 1.58, table 10 */
export function readGuestPolicy(r: ByteReader): SnpGuestPolicy {
  const bits = r.u32('POLICY')
  const has = (bit: number) => ((bits >>> bit) & 1) === 1
  if (!has(17)) throw r.malformed('POLICY', 'bit 17 is not set')
  if (bits >>> 26 !== 0 || r.u32('POLICY') !== 0) throw r.malformed('POLICY', 'reserved bits are set')
  return {
    abiMinor: bits & 0xff,
    abiMajor: (bits >>> 8) & 0xff,
    smtAllowed: has(16),
    migrationAgentAllowed: has(18),
    debugAllowed: has(19),
    singleSocketRequired: has(20),
    cxlAllowed: has(21),
    aes256XtsRequired: has(22),
    raplDisabledRequired: has(23),
    ciphertextHidingRequired: has(24),
    pageSwapDisabledRequired: has(25),
  }
}

/** PLATFORM_INFO: how the platform was configured when it signed. */
export interface SnpPlatformInfo {
  /** SMT_EN */
  readonly smtEnabled: boolean
  /** TSME_EN */
  readonly tsmeEnabled: boolean
  /** ECC_EN */
  readonly eccEnabled: boolean
  /** RAPL_DIS */
  readonly raplDisabled: boolean
  /** CIPHERTEXT_HIDING_DRAM_EN */
  readonly ciphertextHidingEnabled: boolean
  /** ALIAS_CHECK_COMPLETE: memory aliasing (CVE-2024-21944) was looked for since the last reset. */
  readonly aliasCheckComplete: boolean
  /** TIO_EN */
  readonly tioEnabled: boolean
}

/** Reads PLATFORM_INFO. Bit 6 has no published meaning, and Turin sets it; bits above 7 are refused. */
export function readPlatformInfo(r: ByteReader): SnpPlatformInfo {
  const bits = r.u32('PLATFORM_INFO')
  const has = (bit: number) => ((bits >>> bit) & 1) === 1
  if (bits >>> 8 !== 0 || r.u32('PLATFORM_INFO') !== 0) throw r.malformed('PLATFORM_INFO', 'reserved bits are set')
  return {
    smtEnabled: has(0),
    tsmeEnabled: has(1),
    eccEnabled: has(2),
    raplDisabled: has(3),
    ciphertextHidingEnabled: has(4),
    aliasCheckComplete: has(5),
    tioEnabled: has(7),
  }
}
