import { VouchsafeError } from '../../base/errors.ts'
import type { AzureEvidence } from '../azure-vtpm/verify-azure-vtpm.ts'
import type { DetectedEvidence } from '../detect.ts'
import type { GpuEvidence } from '../nvidia/verify-gpu.ts'
import { parseSnpCertificateTable, SNP_TABLE_ENTRIES } from '../snp/certificate-table.ts'
import type { VtpmEvidence } from '../vtpm-quote.ts'
import { readCcaMessage, readGpuMessage, readQuoteMessage } from './device-messages.ts'
import { readSnpMessage } from './snp-message.ts'
import { readAzureMessage, readTpmMessage } from './vtpm-messages.ts'

/** Evidence out of whatever it was wrapped in, as its verifier takes it. Nothing of it is believed yet. */
export type PresentedEvidence =
  /** `vek`: the chip's certificate, where the guest brings it along. */
  | { readonly format: 'snp'; readonly report: Uint8Array; readonly vek?: Uint8Array }
  | { readonly format: 'tdx'; readonly quote: Uint8Array; readonly eventLog?: Uint8Array }
  | { readonly format: 'sgx'; readonly quote: Uint8Array }
  | ({ readonly format: 'azure-vtpm' } & AzureEvidence)
  /** A paravisor's report alone: no quote of the vTPM, and nothing that endorses the CPU. */
  | { readonly format: 'hcl-report'; readonly hclReport: Uint8Array }
  | { readonly format: 'cca'; readonly token: Uint8Array }
  /** `chain` is empty where the report came alone. */
  | { readonly format: 'nvidia-gpu'; readonly devices: readonly GpuEvidence[] }
  | ({ readonly format: 'tpm'; readonly akSpki: Uint8Array } & VtpmEvidence)

const SNP_REPORT = 1184

/**
 * Takes evidence out of its wrapping.
 *
 * @throws {VouchsafeError} `evidence.unsupported` for attestations of gotpm and for messages of our own, which have
 *   readers elsewhere; `input.malformed`, `endorsement.malformed`
 */
export function readPresented({ format, container, bytes }: DetectedEvidence): PresentedEvidence {
  const json = container === 'json'
  if (container === 'gotpm')
    throw new VouchsafeError('evidence.unsupported', 'an attestation of gotpm is read as a whole, not as one quote')
  switch (format) {
    case 'snp':
      return { format, ...(json ? readSnpMessage(bytes) : readExtendedReport(bytes)) }
    case 'tdx':
      return { format, ...(json ? readQuoteMessage(bytes) : { quote: bytes }) }
    case 'sgx':
      return { format, quote: json ? readQuoteMessage(bytes).quote : bytes }
    case 'azure-vtpm':
      return json ? { format, ...readAzureMessage(bytes) } : { format: 'hcl-report', hclReport: bytes }
    case 'cca':
      return { format, token: json ? readCcaMessage(bytes) : bytes }
    case 'nvidia-gpu':
      return { format, devices: json ? readGpuMessage(bytes) : [{ report: bytes, chain: [] }] }
    case 'tpm':
      if (json) return { format, ...readTpmMessage(bytes) }
      throw new VouchsafeError(
        'evidence.unsupported',
        'a TPMS_ATTEST alone: its signature, key and register values are missing',
      )
    case 'gce-vtpm':
      throw new VouchsafeError('internal', 'evidence of GCE comes from gotpm only')
  }
}

/** A report, or an extended one: the host's certificate table after it. */
function readExtendedReport(bytes: Uint8Array): { readonly report: Uint8Array; readonly vek?: Uint8Array } {
  if (bytes.length <= SNP_REPORT) return { report: bytes }
  const table = parseSnpCertificateTable(bytes.subarray(SNP_REPORT))
  const vek = table.get(SNP_TABLE_ENTRIES.vcek) ?? table.get(SNP_TABLE_ENTRIES.vlek)
  return { report: bytes.slice(0, SNP_REPORT), ...(vek && { vek }) }
}
