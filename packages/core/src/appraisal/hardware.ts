import type { HardwareTerms } from '../agreement/reference/hardware-terms.ts'
import { snpReferenceSchema } from '../agreement/reference/snp-reference.ts'
import { tdxReferenceSchema } from '../agreement/reference/tdx-reference.ts'
import type { HardwareFacts } from '../evidence/hardware/verify-hardware-evidence.ts'
import { oneOf } from './check.ts'
import type { Finding } from './finding.ts'
import type { Measured } from './measured.ts'
import { appraiseSnp } from './snp.ts'
import { appraiseTdx } from './tdx.ts'

/** Accept nothing: what an agreement that does not speak of a vendor says of it. */
const NO_SNP = snpReferenceSchema.parse({})
const NO_TDX = tdxReferenceSchema.parse({})

/** Is this CPU, and the guest on it, what the owners agreed on? */
export function appraiseHardware(
  hardware: HardwareFacts['hardware'],
  terms: HardwareTerms | undefined,
  at: Date,
  measured: Measured,
): readonly Finding[] {
  const chips = terms === undefined ? [] : terms.chips === 'any-genuine' ? 'any' : terms.chips
  const findings =
    hardware.format === 'snp'
      ? appraiseSnp(hardware, terms?.snp ?? NO_SNP)
      : appraiseTdx(hardware, terms?.tdx ?? NO_TDX, at, measured)
  return [oneOf('appraisal.chip', 'instance-identity', 'chip', chips, chipOf(hardware)), ...findings]
}

function chipOf(hardware: HardwareFacts['hardware']): string {
  if (hardware.format === 'tdx') return hardware.pck.ppid
  return hardware.chip.kind === 'known' ? hardware.chip.id : 'hidden'
}
