import { z } from 'zod'
import { snpEvidenceSchema, tdxEvidenceSchema } from '../hardware/hardware-evidence.ts'
import { base64UrlSchema, measuredBootShape } from '../tpm/tpm-evidence.ts'

const snp = snpEvidenceSchema.omit({ launchLog: true })
const tdx = tdxEvidenceSchema.omit({ launchLog: true })

/** A confidential VM of Azure: a quote by the paravisor's vTPM, and the CPU's report that commits to that vTPM's key. */
export const azureVtpmEvidenceSchema = z.strictObject({
  format: z.literal('azure-vtpm'),
  ...measuredBootShape,
  /** What the paravisor left in NV index 0x01400001, CPU report and runtime data in it. */
  hclReport: base64UrlSchema(16 * 1024),
  /** What endorses the report: on Intel the quote that was made of it, on AMD the chip's certificate where the guest has it. */
  endorsement: z.discriminatedUnion('format', [snp.omit({ report: true }), tdx.omit({ bootLog: true })]),
})

/** A VM of Google Compute Engine: a quote by its vTPM, whose key Google certifies, and its CPU's report if it has one. */
export const gceVtpmEvidenceSchema = z.strictObject({
  format: z.literal('gce-vtpm'),
  ...measuredBootShape,
  /** DER, as the vTPM's NV index holds it. */
  akCertificate: base64UrlSchema(8192),
  intermediates: z.array(base64UrlSchema(8192)).max(4),
  /** Its report data commit to the request and to the vTPM's key. Left out where the VM is not a confidential one. */
  cpu: z.discriminatedUnion('format', [snp, tdx]).exactOptional(),
})

/** What a cloud's vTPM shows. Nothing in it is believed before `verifyPlatformEvidence`. */
export const platformEvidenceSchema = z.discriminatedUnion('format', [azureVtpmEvidenceSchema, gceVtpmEvidenceSchema])
export type PlatformEvidence = z.infer<typeof platformEvidenceSchema>
export type AzureVtpmEvidence = z.infer<typeof azureVtpmEvidenceSchema>
export type GceVtpmEvidence = z.infer<typeof gceVtpmEvidenceSchema>
