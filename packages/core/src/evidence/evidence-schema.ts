import { z } from 'zod'
import { snpEvidenceSchema, tdxEvidenceSchema } from './hardware/hardware-evidence.ts'
import { azureVtpmEvidenceSchema, gceVtpmEvidenceSchema } from './platform/platform-evidence.ts'
import { tpmEvidenceSchema } from './tpm/tpm-evidence.ts'

/** Evidence of every kind that brokers judge, as agents send it and as records keep it. */
export const evidenceSchema = z.discriminatedUnion('format', [
  tpmEvidenceSchema,
  snpEvidenceSchema,
  tdxEvidenceSchema,
  azureVtpmEvidenceSchema,
  gceVtpmEvidenceSchema,
])
