export {
  type AzureVtpmEvidence,
  azureVtpmEvidenceSchema,
  type GceVtpmEvidence,
  gceVtpmEvidenceSchema,
  type PlatformEvidence,
  platformEvidenceSchema,
} from './platform-evidence.ts'
export { type CpuEvidence, cpuEvidenceIn } from './cpu-evidence.ts'
export { AZURE_VTPM, GCE_VTPM } from './places.ts'
export {
  azureUserData,
  type PlatformFacts,
  type PlatformIdentity,
  platformMachineId,
  type VerifiedPlatformEvidence,
  verifyPlatformEvidence,
} from './verify-platform-evidence.ts'
