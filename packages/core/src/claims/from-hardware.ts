import { toHex } from '../base/encoding.ts'
import { quoteBodyFields } from '../evidence/fields/dcap-fields.ts'
import type { EvidenceField } from '../evidence/fields/field.ts'
import { snpFields } from '../evidence/fields/snp-fields.ts'
import type { VerifiedHardwareEvidence } from '../evidence/hardware/verify-hardware-evidence.ts'
import { partsBelow } from '../evidence/snp/tcb.ts'
import type { VerifiedSnpEvidence } from '../evidence/snp/verify-report.ts'
import type { VerifiedTdxEvidence } from '../evidence/tdx/verify-tdx-quote.ts'
import { assertVerified } from '../evidence/verified.ts'
import type { Claims, PlatformClaims } from './claims.ts'

/** Verified evidence of a CPU in our words. The class is the anchor's. */
export function claimsFromHardware(evidence: VerifiedHardwareEvidence): Claims {
  assertVerified(evidence)
  const { machine, anchor, hardware, launch } = evidence
  const platform = platformOfCpu(hardware)
  return {
    format: hardware.format,
    class: anchor.class,
    simulated: anchor.class === 'simulated',
    hostExcluded: !platform.hostMayInspect,
    machine,
    anchor: anchor.name,
    anchors: [anchor.name],
    boot: { registers: NO_REGISTERS, resetCount: 0, restartCount: 0 },
    platform,
    launch,
  }
}

/** What a CPU says of itself and of the guest on it. */
export function platformOfCpu(hardware: VerifiedSnpEvidence | VerifiedTdxEvidence): PlatformClaims {
  return hardware.format === 'snp' ? fromSnp(hardware) : fromTdx(hardware)
}

const NO_REGISTERS = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [String(n), '']))

/** Answers to one request, and so different each time; nobody can pin them. */
const OF_THE_REQUEST = ['REPORT_DATA', 'REPORTDATA']
/** Told apart from what was measured (D03). Chip and guest have claims of their own. */
const CHOSEN_BY_HOST = ['HOST_DATA', 'MRCONFIGID', 'MROWNER', 'MROWNERCONFIG']

function fromSnp(evidence: VerifiedSnpEvidence): PlatformClaims {
  const { report, product, chip, tcb } = evidence
  const { major, minor, build } = report.currentFirmware
  const provisional = partsBelow(tcb.committed, tcb.current).length > 0
  return {
    vendor: 'amd',
    family: product,
    chip: chip.kind === 'known' ? chip.id : 'hidden',
    firmware: `${major}.${minor}.${build}`,
    microcode: tcb.reported.microcode,
    tcbStatus: provisional ? 'provisional' : 'committed',
    advisories: [],
    tcbDate: '',
    measurement: toHex(report.measurement),
    hostMayInspect: report.policy.debugAllowed,
    ...told(snpFields(report)),
  }
}

function fromTdx({ report, pck, rating }: VerifiedTdxEvidence): PlatformClaims {
  const rated = rating === 'not-checked' ? undefined : rating
  return {
    vendor: 'intel',
    family: pck.fmspc,
    chip: pck.ppid,
    firmware: toHex(report.teeTcbSvn),
    microcode: pck.componentSvns[0] ?? 0,
    tcbStatus: rated?.status ?? '',
    advisories: rated?.advisories ?? [],
    tcbDate: rated?.platform.date.toISOString() ?? '',
    measurement: toHex(report.mrTd),
    hostMayInspect: report.attributes.debug,
    ...told(quoteBodyFields(report)),
  }
}

function told(fields: readonly EvidenceField[]): Pick<PlatformClaims, 'fields' | 'hostChosen'> {
  const of = (wanted: (name: string) => boolean) =>
    Object.fromEntries(fields.filter(({ name }) => wanted(name)).map(({ name, value }) => [name, value]))
  return {
    fields: of((name) => !CHOSEN_BY_HOST.includes(name) && !OF_THE_REQUEST.includes(name)),
    hostChosen: of((name) => CHOSEN_BY_HOST.includes(name)),
  }
}
