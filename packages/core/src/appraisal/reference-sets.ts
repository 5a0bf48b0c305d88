import type { AgreementBody } from '../agreement/agreement.ts'
import type { NamedSet, OpenedSet } from '../agreement/reference/named-set.ts'
import type { ReferenceEntry } from '../agreement/reference/reference-set.ts'
import { must } from './check.ts'
import type { Finding } from './finding.ts'

type Environment = AgreementBody['environment']

/** The agreement's environment as it would be with the pins of one value, which counts whole or not at all. */
interface Alternative {
  readonly environment: Environment
  readonly of: { readonly set: OpenedSet; readonly entry: ReferenceEntry } | null
}

export interface UnderSets {
  readonly findings: readonly Finding[]
  /** To be spread into the appraisal: when the value that it rests on ends. */
  readonly until: { readonly until?: string }
}

/**
 * Judges a boot under what the agreement pins, then under each value of the sets that it names. The first that nothing
 * stands against is told; when there is none, the one that least stands against. Every named set leaves a finding, and one
 * that is missing stands against whatever was shown: who names a set wants its word.
 *
 * @param format - Of the evidence that `judge` looks at: values of no other kind are tried.
 * @param judge - The findings under an environment.
 */
export function appraiseUnderSets(
  environment: Environment,
  opened: readonly OpenedSet[],
  format: 'tpm' | 'snp' | 'tdx',
  judge: (environment: Environment) => readonly Finding[],
): UnderSets {
  const sets = (environment.references ?? []).map(
    (named) => opened.find((o) => o.named.set === named.set && o.named.signer === named.signer) ?? missing(named),
  )
  const [own, ...others] = alternativesOf(environment, sets, format).map((alternative) => {
    const findings = judge(alternative.environment)
    return { ...alternative, findings, against: findings.filter(({ tier }) => tier !== 'affirming').length }
  })
  if (own === undefined) return { findings: [], until: {} } // never: the agreement itself is always one
  const best = others.reduce((least, other) => (other.against < least.against ? other : least), own)
  const findings = [...best.findings, ...sets.map((set) => findingOf(set, best.of?.set === set ? best.of.entry : null))]
  return { findings, until: best.of === null ? {} : { until: best.of.entry.notAfter } }
}

function missing(named: NamedSet): OpenedSet {
  return { named, version: null, refusal: 'no such set is filed here', live: [] }
}

function alternativesOf(
  environment: Environment,
  sets: readonly OpenedSet[],
  format: 'tpm' | 'snp' | 'tdx',
): readonly Alternative[] {
  const values = sets.flatMap((set) =>
    set.live.flatMap((entry) => {
      const under = entry.kind === format ? withPins(environment, entry) : null
      return under === null ? [] : [{ environment: under, of: { set, entry } }]
    }),
  )
  // those that end last come first, so that of two that fit the longer one is what a lease rests on
  const longestFirst = values.sort((a, b) => Date.parse(b.of.entry.notAfter) - Date.parse(a.of.entry.notAfter))
  return [{ environment, of: null }, ...longestFirst]
}

/** Floors, chips and whatever else a value says nothing of stay as agreed; null where the agreement takes no such evidence. */
function withPins(environment: Environment, entry: ReferenceEntry): Environment | null {
  const { hardware, registers } = environment
  switch (entry.kind) {
    case 'component':
    case 'value':
      return null
    case 'tpm': {
      const pinned = Object.entries(entry.registers).map(([n, value]) => [n, [value]])
      return { ...environment, registers: { ...registers, ...Object.fromEntries(pinned) } }
    }
    case 'snp': {
      if (hardware?.snp === undefined) return null
      const snp = { ...hardware.snp, measurements: [entry.measurement] }
      return { ...environment, hardware: { ...hardware, snp } }
    }
    case 'tdx': {
      if (hardware?.tdx === undefined) return null
      const { mrTd, rtmr0, rtmr1, rtmr2, rtmr3 } = entry
      const tdx = {
        ...hardware.tdx,
        mrTd: [mrTd],
        ...(rtmr0 !== undefined && { rtmr0: [rtmr0] }),
        ...(rtmr1 !== undefined && { rtmr1: [rtmr1] }),
        ...(rtmr2 !== undefined && { rtmr2: [rtmr2] }),
        ...(rtmr3 !== undefined && { rtmr3: [rtmr3] }),
      }
      return { ...environment, hardware: { ...hardware, tdx } }
    }
  }
}

function findingOf({ named, version, refusal, live }: OpenedSet, used: ReferenceEntry | null): Finding {
  const expected = `reference set ${named.set}, version ${named.atLeast} or later, signed by ${named.signer}`
  const counted =
    used === null
      ? `none of its ${live.length} values that hold was used`
      : `held against ${used.id}, ${used.provenance.how} from ${used.provenance.source}, until ${used.notAfter}`
  const actual = version === null ? refusal : `version ${version.set.version}: ${counted}`
  return must('appraisal.reference', 'executables', version !== null, expected, actual)
}
