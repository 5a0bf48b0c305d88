export { type HclReport, parseHclReport } from './parse-hcl-report.ts'
export { type HclRuntimeData, parseRuntimeData } from './runtime-data.ts'
export {
  type AzureEvidence,
  type AzureExpectation,
  type AzureFacts,
  type HclEvidence,
  type HclExpectation,
  type HclFacts,
  type VerifiedAzureEvidence,
  verifyAzureVtpm,
  verifyHclReport,
} from './verify-azure-vtpm.ts'
