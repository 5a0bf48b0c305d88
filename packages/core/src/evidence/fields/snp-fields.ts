import { VouchsafeError } from '../../base/errors.ts'
import { isZero } from '../parsed.ts'
import type { SnpReport } from '../snp/parse-report.ts'
import { decodeTcb, formatTcb, productOfCpu, type SnpProduct } from '../snp/tcb.ts'
import { type EvidenceField, field, flag } from './field.ts'

/** Every field of an SEV-SNP report, in its order, in AMD's spelling. */
export function snpFields(report: SnpReport): readonly EvidenceField[] {
  const product = productOf(report)
  const tcb = (name: string, bytes: Uint8Array, meaning: string) => field(name, tcbText(bytes, product), meaning)
  const firmware = (name: string, v: SnpReport['currentFirmware'], meaning: string) =>
    field(name, `${v.major}.${v.minor}.${v.build}`, meaning)
  return [
    field('VERSION', report.version, 'layout of the report'),
    field('GUEST_SVN', report.guestSvn, 'security version that the ID block gives the guest; zero without one'),
    ...policyFields(report),
    field('FAMILY_ID', report.familyId, 'chosen by the guest’s owner in the ID block'),
    field('IMAGE_ID', report.imageId, 'chosen by the guest’s owner in the ID block'),
    field('VMPL', report.vmpl, 'privilege level that asked for the report; 0 is the most privileged'),
    tcb('CURRENT_TCB', report.currentTcb, 'firmware that runs now'),
    ...platformFields(report),
    flag(
      'AUTHOR_KEY_EN',
      report.authorKeyEnabled,
      'an author key vouches for the ID key',
      'no author key vouches for the ID key',
    ),
    field(
      'SIGNING_KEY',
      report.signingKey.toUpperCase(),
      report.signingKey === 'vcek' ? 'signed with the chip’s own key' : 'signed with a key that AMD gave the provider',
    ),
    field('REPORT_DATA', report.reportData, 'chosen by the guest that asked: what the report answers to'),
    field('MEASUREMENT', report.measurement, 'of the guest’s initial memory: firmware, and what the firmware was told'),
    field('HOST_DATA', report.hostData, 'chosen by the host at launch'),
    field(
      'ID_KEY_DIGEST',
      report.idKeyDigest,
      isZero(report.idKeyDigest) ? 'the launch is not signed by an ID key' : 'who signed the ID block',
    ),
    field('AUTHOR_KEY_DIGEST', report.authorKeyDigest, 'who vouched for the ID key'),
    field('REPORT_ID', report.reportId, 'names this guest from its launch to its end'),
    field('REPORT_ID_MA', report.migrationAgentReportId, 'names its migration agent; all ones without one'),
    tcb('REPORTED_TCB', report.reportedTcb, 'firmware that the signing key was derived for'),
    ...(report.cpu === undefined
      ? []
      : [
          field(
            'CPUID_FAM_ID, CPUID_MOD_ID, CPUID_STEP',
            `0x${report.cpu.family.toString(16)}, 0x${report.cpu.model.toString(16)}, ${report.cpu.stepping}`,
            product === undefined ? 'a CPU of no product line known here' : `a ${product}`,
          ),
        ]),
    field(
      'CHIP_ID',
      report.chipId,
      isZero(report.chipId) ? 'hidden by the host: no list of chips can apply to it' : 'names the chip',
    ),
    tcb('COMMITTED_TCB', report.committedTcb, 'firmware that the host can no longer go back behind'),
    firmware('CURRENT_MAJOR.MINOR.BUILD', report.currentFirmware, 'version of the firmware that runs now'),
    firmware('COMMITTED_MAJOR.MINOR.BUILD', report.committedFirmware, 'version that was committed'),
    tcb('LAUNCH_TCB', report.launchTcb, 'firmware when the guest was launched'),
    ...(report.launchMitigations === undefined || report.currentMitigations === undefined
      ? []
      : [
          field('LAUNCH_MIT_VECTOR', hexNumber(report.launchMitigations), 'mitigations that were active at launch'),
          field('CURRENT_MIT_VECTOR', hexNumber(report.currentMitigations), 'mitigations that are active now'),
        ]),
  ]
}

function policyFields({ policy }: SnpReport): readonly EvidenceField[] {
  const allowed = (name: string, isSet: boolean, what: string) =>
    flag(name, isSet, `${what} allowed`, `${what} excluded`)
  const demanded = (name: string, isSet: boolean, what: string) =>
    flag(name, isSet, `${what} demanded`, `${what} not demanded`)
  return [
    field('POLICY.ABI', `${policy.abiMajor}.${policy.abiMinor}`, 'least version of the firmware’s interface'),
    allowed('POLICY.SMT', policy.smtAllowed, 'simultaneous multithreading'),
    allowed('POLICY.MIGRATE_MA', policy.migrationAgentAllowed, 'a migration agent'),
    flag('POLICY.DEBUG', policy.debugAllowed, 'THE HOST MAY READ THE GUEST’S MEMORY', 'debugging excluded'),
    demanded('POLICY.SINGLE_SOCKET', policy.singleSocketRequired, 'a single socket'),
    allowed('POLICY.CXL_ALLOW', policy.cxlAllowed, 'CXL memory'),
    demanded('POLICY.MEM_AES_256_XTS', policy.aes256XtsRequired, 'AES-256-XTS'),
    demanded('POLICY.RAPL_DIS', policy.raplDisabledRequired, 'RAPL off'),
    demanded('POLICY.CIPHERTEXT_HIDING_DRAM', policy.ciphertextHidingRequired, 'ciphertext hiding'),
    demanded('POLICY.PAGE_SWAP_DISABLE', policy.pageSwapDisabledRequired, 'no page swapping'),
  ]
}

function platformFields({ platformInfo: p }: SnpReport): readonly EvidenceField[] {
  return [
    flag('PLATFORM_INFO.SMT_EN', p.smtEnabled, 'multithreading is on', 'multithreading is off'),
    flag('PLATFORM_INFO.TSME_EN', p.tsmeEnabled, 'all memory is encrypted', 'only guests’ memory is encrypted'),
    flag('PLATFORM_INFO.ECC_EN', p.eccEnabled, 'ECC memory', 'memory without ECC'),
    flag('PLATFORM_INFO.RAPL_DIS', p.raplDisabled, 'power cannot be measured', 'the host may measure power'),
    flag(
      'PLATFORM_INFO.CIPHERTEXT_HIDING_DRAM_EN',
      p.ciphertextHidingEnabled,
      'the host cannot watch ciphertext',
      'the host may watch ciphertext change',
    ),
    flag(
      'PLATFORM_INFO.ALIAS_CHECK_COMPLETE',
      p.aliasCheckComplete,
      'memory was checked for aliases (CVE-2024-21944)',
      'memory was not checked for aliases (CVE-2024-21944)',
    ),
    flag('PLATFORM_INFO.TIO_EN', p.tioEnabled, 'trusted I/O is on', 'trusted I/O is off'),
  ]
}

function productOf({ cpu }: SnpReport): SnpProduct | undefined {
  if (cpu === undefined) return undefined
  try {
    return productOfCpu(cpu.family, cpu.model)
  } catch (error) {
    if (error instanceof VouchsafeError && error.code === 'evidence.unsupported') return undefined
    throw error
  }
}

/** Reports of version 2 do not say whose layout theirs is: Turin came later, so it is Milan's and Genoa's. */
function tcbText(bytes: Uint8Array, product: SnpProduct | undefined): string {
  try {
    return formatTcb(decodeTcb('TCB', bytes, product ?? 'Milan'))
  } catch (error) {
    if (error instanceof VouchsafeError) return [...bytes].join(' ')
    throw error
  }
}

function hexNumber(value: bigint): string {
  return `0x${value.toString(16)}`
}
