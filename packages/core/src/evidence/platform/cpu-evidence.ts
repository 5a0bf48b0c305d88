import { fromBase64Url, toBase64Url } from '../../base/encoding.ts'
import { parseHclReport } from '../azure-vtpm/parse-hcl-report.ts'
import type { HardwareEvidence } from '../hardware/hardware-evidence.ts'
import type { PlatformEvidence } from './platform-evidence.ts'

/** What a CPU signed, as far as its maker has to be asked about it. */
export type CpuEvidence =
  | Omit<Extract<HardwareEvidence, { format: 'snp' }>, 'launchLog'>
  | Omit<Extract<HardwareEvidence, { format: 'tdx' }>, 'launchLog'>

/**
 * The CPU's part of evidence, for whoever fetches its maker's collateral; null where only Google's vTPM speaks. Nothing is
 * verified.
 *
 * @throws {VouchsafeError} `input.malformed`
 */
export function cpuEvidenceIn(evidence: PlatformEvidence | HardwareEvidence): CpuEvidence | null {
  switch (evidence.format) {
    case 'snp':
    case 'tdx':
      return evidence
    case 'gce-vtpm':
      return evidence.cpu ?? null
    case 'azure-vtpm': {
      const { endorsement, hclReport } = evidence
      if (endorsement.format === 'tdx') return endorsement
      return {
        ...endorsement,
        report: toBase64Url(parseHclReport(fromBase64Url(hclReport, 'hclReport')).hardwareReport),
      }
    }
  }
}
