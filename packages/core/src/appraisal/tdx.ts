import type { TdxReference } from '../agreement/reference/tdx-reference.ts'
import { toHex } from '../base/encoding.ts'
import type { VerifiedTdxEvidence } from '../evidence/tdx/verify-tdx-quote.ts'
import { assertVerified } from '../evidence/verified.ts'
import { listed } from './boot-state.ts'
import { must, oneOf } from './check.ts'
import type { Finding } from './finding.ts'
import { appraiseIntelTcb } from './intel-tcb.ts'
import type { Measured } from './measured.ts'

const NOTHING = '00'.repeat(48)

/** TUD, LASS, SEPT_VE_DISABLE, MIGRATABLE, PKS, KL, PERFMON: all that we know the meaning of. */
const KNOWN_ATTRIBUTES = 0xffn | (0x1fn << 27n) | (1n << 63n)

/**
 * Is this TD, on this platform, acceptable? One finding a check, content or not.
 *
 * @param measured - What made a register's value, beside one that is not as agreed: RTMR n is n + 1.
 */
export function appraiseTdx(
  evidence: VerifiedTdxEvidence,
  reference: TdxReference,
  at: Date,
  measured: Measured = () => [],
): readonly Finding[] {
  assertVerified(evidence)
  const { report } = evidence
  const [rtmr0, rtmr1, rtmr2, rtmr3] = report.rtmrs.map((value) => toHex(value))
  const executable = (what: string, accepted: readonly string[] | 'any', actual: string | undefined) =>
    oneOf('appraisal.measurement', 'executables', what, accepted, actual ?? '')
  const runtime = (n: number, accepted: readonly string[] | 'any', actual: string | undefined): Finding => {
    const finding = executable(`RTMR${n}`, accepted, actual)
    return finding.tier === 'affirming' ? finding : { ...finding, actual: finding.actual + listed(measured(n + 1)) }
  }
  const fromHost = (what: string, accepted: readonly string[] | 'any', actual: Uint8Array) =>
    oneOf('appraisal.host-data', 'configuration', what, accepted, toHex(actual))
  return [
    must(
      'appraisal.debug',
      'configuration',
      !report.attributes.debug,
      'debugging excluded',
      report.attributes.debug ? 'the host may debug the TD' : 'debugging excluded',
    ),
    executable('MRTD', reference.mrTd, toHex(report.mrTd)),
    runtime(0, pinned(reference.rtmr0), rtmr0),
    runtime(1, pinned(reference.rtmr1), rtmr1),
    runtime(2, pinned(reference.rtmr2), rtmr2),
    runtime(3, pinned(reference.rtmr3), rtmr3),
    executable('MRSEAM', reference.mrSeam, toHex(report.mrSeam)),
    executable('MRSERVICETD', reference.mrServiceTd, report.mrServiceTd ? toHex(report.mrServiceTd) : NOTHING),
    fromHost('MRCONFIGID', reference.mrConfigId, report.mrConfigId),
    fromHost('MROWNER', reference.mrOwner, report.mrOwner),
    fromHost('MROWNERCONFIG', reference.mrOwnerConfig, report.mrOwnerConfig),
    ...appraiseAttributes(report.attributes, reference),
    ...appraiseIntelTcb(evidence.rating, reference.tcb, at),
  ]
}

function pinned(value: TdxReference['rtmr0']): readonly string[] | 'any' {
  return value === 'dangerously-unpinned' ? 'any' : value
}

function appraiseAttributes(
  attributes: VerifiedTdxEvidence['report']['attributes'],
  { allow, require }: TdxReference,
): readonly Finding[] {
  const allowed = (what: string, isSet: boolean, isAllowed: boolean) =>
    must(
      'appraisal.guest-policy',
      'configuration',
      !isSet || isAllowed,
      `${what} ${isAllowed ? 'on or off' : 'off'}`,
      `${what} ${isSet ? 'on' : 'off'}`,
    )
  const unknown = attributes.raw & ~KNOWN_ATTRIBUTES
  return [
    allowed('MIGRATABLE', attributes.migratable, allow.migratable),
    allowed('PERFMON', attributes.perfmon, allow.perfmon),
    allowed('KL', attributes.keyLocker, allow.keyLocker),
    allowed('PKS', attributes.protectionKeys, allow.protectionKeys),
    allowed('LASS', attributes.lass, allow.lass),
    must(
      'appraisal.guest-policy',
      'configuration',
      attributes.septVeDisable || !require.septVeDisable,
      `SEPT_VE_DISABLE ${require.septVeDisable ? 'on' : 'on or off'}`,
      `SEPT_VE_DISABLE ${attributes.septVeDisable ? 'on' : 'off'}`,
    ),
    must(
      'appraisal.guest-policy',
      'configuration',
      unknown === 0n,
      'no attribute of unknown meaning',
      unknown === 0n ? 'no attribute of unknown meaning' : `attributes 0x${unknown.toString(16)}`,
    ),
  ]
}
