import type { Agreement } from '../agreement/agreement.ts'
import type { OpenedSet } from '../agreement/reference/named-set.ts'
import { type Claims, isAtLeast } from '../claims/claims.ts'
import type { VerifiedHardwareEvidence } from '../evidence/hardware/verify-hardware-evidence.ts'
import type { VerifiedPlatformEvidence } from '../evidence/platform/verify-platform-evidence.ts'
import { appraiseBootState } from './boot-state.ts'
import { type DistrustRule, isDistrusted } from './distrust.ts'
import { type Appraisal, type Finding, conclude } from './finding.ts'
import { appraiseHardware } from './hardware.ts'
import { appraiseLaunch } from './launch.ts'
import type { Measured } from './measured.ts'
import { appraiseCloud } from './platform.ts'
import { appraiseUnderSets } from './reference-sets.ts'

/** What the claims are held against. All of it comes from owners; nothing of it from the guest. */
export interface ReferenceValues {
  readonly agreement: Agreement
  /** Counters as kept at enrolment, or at the start of the lease that is being renewed (decision 8). */
  readonly counters: { readonly resetCount: number; readonly restartCount: number }
  readonly distrust: readonly DistrustRule[]
  /** The sets that the agreement names, as they were found. Left out: none was found. */
  readonly sets?: readonly OpenedSet[]
}

/** Is what a CPU's evidence says acceptable? Every check leaves a finding, also when it is content. */
export function appraiseHardwareEvidence(
  evidence: VerifiedHardwareEvidence,
  claims: Claims,
  reference: Omit<ReferenceValues, 'counters'>,
  at: Date,
  measured: Measured = () => [],
): Appraisal {
  const { environment } = reference.agreement.body
  const { findings, until } = appraiseUnderSets(environment, reference.sets ?? [], evidence.hardware.format, (under) =>
    appraiseHardware(evidence.hardware, under.hardware, at, measured),
  )
  const appraisal = conclude([
    ...appraisePlatform(claims, environment),
    ...findings,
    ...appraiseLaunch(claims.launch, reference.agreement),
    appraiseDistrust(claims, reference.distrust),
  ])
  return { ...appraisal, ...until }
}

/**
 * Is what a TPM's evidence says acceptable? Every check leaves a finding, also when it is content.
 *
 * @param measured - Names the events behind a register that is not as agreed. Left out, findings name none.
 */
export function appraise(claims: Claims, reference: ReferenceValues, measured: Measured = () => []): Appraisal {
  const { body } = reference.agreement
  const { findings, until } = appraiseUnderSets(body.environment, reference.sets ?? [], 'tpm', (under) =>
    appraiseBootState(claims.boot.registers, under, measured),
  )
  const appraisal = conclude([
    ...appraisePlatform(claims, body.environment),
    ...findings,
    appraiseCounters(claims.boot, reference.counters),
    ...appraiseLaunch(claims.launch, reference.agreement),
    appraiseDistrust(claims, reference.distrust),
  ])
  return { ...appraisal, ...until }
}

/**
 * Is what a cloud's vTPM says acceptable, and the CPU beside it? Both have to be: what was booted by the registers that the
 * agreement pins, what runs it by its terms for hardware. No counters are kept, since another boot is another machine.
 */
export function appraisePlatformEvidence(
  evidence: VerifiedPlatformEvidence,
  claims: Claims,
  reference: Omit<ReferenceValues, 'counters'>,
  at: Date,
  measured: { readonly boot: Measured; readonly cpu: Measured } = { boot: () => [], cpu: () => [] },
): Appraisal {
  const { environment } = reference.agreement.body
  const { cpu } = evidence
  const sets = reference.sets ?? []
  const judged = [
    appraiseUnderSets(environment, sets, 'tpm', (under) =>
      appraiseBootState(claims.boot.registers, under, measured.boot),
    ),
    ...(cpu === null
      ? []
      : [
          appraiseUnderSets(environment, sets, cpu.format, (under) =>
            appraiseHardware(cpu, under.hardware, at, measured.cpu),
          ),
        ]),
  ]
  const appraisal = conclude([
    ...appraisePlatform(claims, environment),
    ...appraiseCloud(evidence, environment.platforms),
    ...judged.flatMap(({ findings }) => findings),
    ...appraiseLaunch(claims.launch, reference.agreement),
    appraiseDistrust(claims, reference.distrust),
  ])
  const [until] = judged.flatMap((j) => j.until.until ?? []).sort((a, b) => Date.parse(a) - Date.parse(b))
  return { ...appraisal, ...(until !== undefined && { until }) }
}

function appraisePlatform(claims: Claims, environment: Agreement['body']['environment']): readonly Finding[] {
  const strongEnough = isAtLeast(claims.class, environment.leastClass)
  const excluded = claims.hostExcluded || !environment.hostExcluded
  return [
    {
      check: 'appraisal.class',
      aspect: 'hardware',
      tier: strongEnough ? 'affirming' : 'contraindicated',
      expected: `class ${environment.leastClass} or stronger`,
      actual: `class ${claims.class}, anchored in ${claims.anchors.join(' and ')}`,
    },
    {
      check: 'appraisal.class',
      aspect: 'hardware',
      tier: excluded ? 'affirming' : 'contraindicated',
      expected: environment.hostExcluded
        ? 'hardware that keeps the host out'
        : 'hardware with or without protection from the host',
      actual: claims.hostExcluded ? 'the host is kept out' : 'the host is not kept out',
    },
  ]
}

function appraiseCounters(boot: Claims['boot'], kept: ReferenceValues['counters']): Finding {
  const same = boot.resetCount === kept.resetCount && boot.restartCount === kept.restartCount
  return {
    check: 'appraisal.reset',
    aspect: 'instance-identity',
    tier: same ? 'affirming' : 'contraindicated',
    expected: `reset count ${kept.resetCount}, restart count ${kept.restartCount}`,
    actual: `reset count ${boot.resetCount}, restart count ${boot.restartCount}`,
  }
}

function appraiseDistrust(claims: Claims, rules: readonly DistrustRule[]): Finding {
  const rule = rules.find((r) => isDistrusted(r, claims))
  return {
    check: 'appraisal.distrusted',
    aspect: 'instance-identity',
    tier: rule === undefined ? 'affirming' : 'contraindicated',
    expected: `none of ${rules.length} distrust rules applies`,
    actual: rule === undefined ? 'none applies' : `rule ${rule.id} applies: ${rule.reason}`,
  }
}
