import type { SnpReference } from '../agreement/reference/snp-reference.ts'
import { toHex } from '../base/encoding.ts'
import { formatTcb, partsBelow, type SnpTcb } from '../evidence/snp/tcb.ts'
import type { VerifiedSnpEvidence } from '../evidence/snp/verify-report.ts'
import { assertVerified } from '../evidence/verified.ts'
import { must, oneOf } from './check.ts'
import type { Finding } from './finding.ts'

/** Is this platform, and this launch on it, acceptable? One finding a check, content or not. */
export function appraiseSnp(evidence: VerifiedSnpEvidence, reference: SnpReference): readonly Finding[] {
  assertVerified(evidence)
  const { report } = evidence
  const { policy } = report
  return [
    must(
      'appraisal.debug',
      'configuration',
      !policy.debugAllowed,
      'debugging excluded',
      policy.debugAllowed ? 'the host may debug the guest' : 'debugging excluded',
    ),
    oneOf('appraisal.measurement', 'executables', 'measurement', reference.measurements, toHex(report.measurement)),
    ...appraiseTcb(evidence, reference),
    ...appraiseGuestPolicy(evidence, reference),
    ...appraisePlatform(evidence, reference),
    must(
      'appraisal.privilege',
      'configuration',
      report.vmpl <= reference.maximumVmpl,
      `asked for at VMPL ${reference.maximumVmpl} or a more privileged one`,
      `asked for at VMPL ${report.vmpl}`,
    ),
    oneOf('appraisal.host-data', 'configuration', 'host data', list(reference.hostData), toHex(report.hostData)),
    oneOf('appraisal.launch-signer', 'executables', 'ID key', reference.idKeyDigests, toHex(report.idKeyDigest)),
    oneOf(
      'appraisal.launch-signer',
      'executables',
      'author key',
      reference.authorKeyDigests,
      toHex(report.authorKeyDigest),
    ),
    must(
      'appraisal.launch-signer',
      'executables',
      report.guestSvn >= reference.minimumGuestSvn,
      `guest SVN ${reference.minimumGuestSvn} or later`,
      `guest SVN ${report.guestSvn}`,
    ),
    must(
      'appraisal.chip',
      'instance-identity',
      evidence.chip.kind === 'known' || reference.allow.hiddenChip,
      reference.allow.hiddenChip ? 'any chip, named or not' : 'a chip that is named',
      evidence.chip.kind === 'known' ? `chip ${evidence.chip.id}` : 'the host hides the chip’s id',
    ),
  ]
}

function appraiseTcb({ product, tcb, report }: VerifiedSnpEvidence, reference: SnpReference): readonly Finding[] {
  const least: SnpTcb | undefined = reference.minimumTcb[product]
  const { currentFirmware: current, committedFirmware: committed } = report
  const sameFirmware =
    current.major === committed.major && current.minor === committed.minor && current.build === committed.build
  const provisional = !sameFirmware || partsBelow(tcb.committed, tcb.current).length > 0
  return [
    ...(['reported', 'committed', 'launch', 'current'] as const).map((which) =>
      must(
        'appraisal.tcb',
        'hardware',
        least !== undefined && partsBelow(tcb[which], least).length === 0,
        least === undefined ? `no ${product} at all` : `${which} TCB of at least ${formatTcb(least)}`,
        `${which} TCB of ${product}: ${formatTcb(tcb[which])}`,
      ),
    ),
    must(
      'appraisal.tcb',
      'hardware',
      !provisional || reference.allow.provisionalFirmware,
      reference.allow.provisionalFirmware ? 'firmware committed or not' : 'firmware that is committed',
      provisional ? 'firmware that the host may still take back' : 'firmware that is committed',
    ),
  ]
}

function appraiseGuestPolicy({ report: { policy } }: VerifiedSnpEvidence, reference: SnpReference): readonly Finding[] {
  const { allow, require } = reference
  const allowed = (what: string, isSet: boolean, isAllowed: boolean) =>
    must(
      'appraisal.guest-policy',
      'configuration',
      !isSet || isAllowed,
      `${what} ${isAllowed ? 'allowed or not' : 'excluded'}`,
      `${what} ${isSet ? 'allowed' : 'excluded'}`,
    )
  const demanded = (what: string, isSet: boolean, isRequired: boolean) =>
    must(
      'appraisal.guest-policy',
      'configuration',
      isSet || !isRequired,
      `${what} ${isRequired ? 'demanded' : 'demanded or not'}`,
      `${what} ${isSet ? 'demanded' : 'not demanded'}`,
    )
  return [
    allowed('simultaneous multithreading', policy.smtAllowed, allow.smt),
    allowed('a migration agent', policy.migrationAgentAllowed, allow.migrationAgent),
    allowed('CXL memory', policy.cxlAllowed, allow.cxl),
    demanded('a single socket', policy.singleSocketRequired, require.singleSocket),
    demanded('AES-256-XTS', policy.aes256XtsRequired, require.aes256Xts),
    demanded('RAPL off', policy.raplDisabledRequired, require.raplDisabled),
    demanded('ciphertext hiding', policy.ciphertextHidingRequired, require.ciphertextHiding),
    demanded('no page swapping', policy.pageSwapDisabledRequired, require.pageSwapDisabled),
  ]
}

function appraisePlatform({ report }: VerifiedSnpEvidence, { require }: SnpReference): readonly Finding[] {
  const wanted = BigInt(`0x${require.mitigations}`)
  const { launchMitigations = 0n, currentMitigations = 0n } = report
  const present = launchMitigations & currentMitigations & wanted
  const { eccEnabled, aliasCheckComplete } = report.platformInfo
  const check = (holds: boolean, expected: string, actual: string) =>
    must('appraisal.platform', 'hardware', holds, expected, actual)
  return [
    check(
      eccEnabled || !require.ecc,
      require.ecc ? 'ECC memory' : 'memory with ECC or without',
      eccEnabled ? 'ECC memory' : 'memory without ECC',
    ),
    check(
      aliasCheckComplete || !require.aliasCheck,
      require.aliasCheck ? 'memory checked for aliases' : 'memory checked for aliases or not',
      aliasCheckComplete ? 'memory checked for aliases' : 'memory not checked for aliases',
    ),
    check(
      present === wanted,
      `mitigations 0x${wanted.toString(16)}`,
      `of these, 0x${present.toString(16)} at launch and now`,
    ),
  ]
}

function list(value: string): readonly string[] | 'any' {
  return value === 'any' ? 'any' : [value]
}
