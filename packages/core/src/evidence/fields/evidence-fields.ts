import { parseHclReport } from '../azure-vtpm/parse-hcl-report.ts'
import { parseRuntimeData } from '../azure-vtpm/runtime-data.ts'
import { parseCcaToken } from '../cca/verify-cca-token.ts'
import { parseDcapQuote } from '../dcap/parse-quote.ts'
import { parseTpmQuote } from '@vouchsafe/tpm/codec'
import { parseGpuReport } from '../nvidia/parse-gpu-report.ts'
import { parsed } from '../parsed.ts'
import type { PresentedEvidence } from '../presented/read-presented.ts'
import { parseSnpReport } from '../snp/parse-report.ts'

import type { VtpmEvidence } from '../vtpm-quote.ts'
import { quoteFields } from './dcap-fields.ts'
import { type EvidenceField, field } from './field.ts'
import { ccaFields, gpuFields, hclFields } from './other-fields.ts'
import { snpFields } from './snp-fields.ts'

/** One signer's part of evidence: composite evidence has several. */
export interface EvidencePart {
  readonly title: string
  readonly fields: readonly EvidenceField[]
}

/**
 * Everything that evidence says, field by field, with what each means. Nothing of it is verified.
 *
 * @throws {VouchsafeError} `input.malformed`, `evidence.unsupported`, `evidence.algorithm`
 */
export async function evidenceFields(evidence: PresentedEvidence): Promise<readonly EvidencePart[]> {
  switch (evidence.format) {
    case 'snp':
      return [{ title: 'SEV-SNP report', fields: snpFields(parseSnpReport(evidence.report)) }]
    case 'tdx':
      return [{ title: 'TDX quote', fields: await quoteFields(parseDcapQuote(evidence.quote)) }]
    case 'sgx':
      return [{ title: 'SGX quote', fields: await quoteFields(parseDcapQuote(evidence.quote)) }]
    case 'hcl-report':
      return hclParts(evidence.hclReport)
    case 'azure-vtpm':
      return [
        ...hclParts(evidence.hclReport),
        ...(evidence.hardware.kind === 'tdx'
          ? [{ title: 'TDX quote', fields: await quoteFields(parseDcapQuote(evidence.hardware.quote)) }]
          : []),
        vtpmPart(evidence),
      ]
    case 'tpm':
      return [vtpmPart(evidence)]
    case 'cca': {
      const { platform, realm } = parseCcaToken(evidence.token)
      return [{ title: 'Arm CCA token', fields: ccaFields(platform, realm) }]
    }
    case 'nvidia-gpu':
      return evidence.devices.map(({ report }, i) => ({
        title: evidence.devices.length === 1 ? 'NVIDIA GPU report' : `NVIDIA GPU report ${i + 1}`,
        fields: gpuFields(parseGpuReport(report)),
      }))
  }
}

function hclParts(raw: Uint8Array): readonly EvidencePart[] {
  const hcl = parseHclReport(raw)
  const hardware: EvidencePart =
    hcl.kind === 'snp'
      ? { title: 'SEV-SNP report', fields: snpFields(parseSnpReport(hcl.hardwareReport)) }
      : { title: 'TDREPORT, checkable on its own platform only', fields: tdReportFields(hcl.hardwareReport) }
  return [{ title: 'paravisor’s report (HCL)', fields: hclFields(hcl, parseRuntimeData(hcl.runtimeData)) }, hardware]
}

/** TDREPORT_STRUCT: a MAC header of 256 bytes, 239 of TEE_TCB_INFO and 17 reserved, then the TD's own part. */
function tdReportFields(raw: Uint8Array): readonly EvidenceField[] {
  return [
    field('REPORTDATA', raw.slice(128, 192), 'chosen by the TD: what the report answers to'),
    field('MRTD', raw.slice(528, 576), 'of the TD’s initial memory'),
  ]
}

function vtpmPart({ attest, registers }: VtpmEvidence): EvidencePart {
  const quote = parsed(() => parseTpmQuote(attest))
  return {
    title: 'vTPM quote',
    fields: [
      field('extraData', quote.extraData, 'chosen by whoever asked: what the quote answers to'),
      field('resetCount', quote.resetCount, 'times the machine was reset'),
      field('restartCount', quote.restartCount, 'times it was restarted from sleep'),
      field('firmwareVersion', `0x${quote.firmwareVersion.toString(16)}`, 'of the TPM'),
      field('pcrDigest', quote.pcrDigest, 'hash of the registers below, as quoted'),
      ...registers.map((value, n) => field(`PCR ${n}`, value, REGISTERS[n] ?? '')),
    ],
  }
}

/** @source TCG PC Client Platform Firmware Profile, section 3.3.4 */
const REGISTERS: readonly string[] = [
  'firmware code',
  'firmware configuration',
  'option ROM code',
  'option ROM configuration',
  'boot loader code',
  'boot loader configuration, partition table',
  'host platform manufacturer',
  'Secure Boot policy',
  'boot loader: commands, kernel command line; init data of Trustee’s guests',
  'boot loader: files it read, kernel, initial RAM disk',
  'files measured by the kernel (IMA)',
  'kernel image of systemd-stub',
  'kernel command line of systemd-stub, credentials',
  'initial RAM disk extensions of systemd-stub; launch of a workload',
  'shim: machine owner keys',
  'running system',
  'debugging: can be reset, proves nothing',
  'launch (DRTM), or a workload of Confidential Space',
  'launch (DRTM)',
  'launch (DRTM)',
  'launch (DRTM)',
  'launch (DRTM)',
  'launch (DRTM)',
  'applications: can be reset, proves nothing',
]
