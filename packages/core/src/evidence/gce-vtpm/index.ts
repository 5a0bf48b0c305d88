export { type GceInstance, readGceInstance } from './instance.ts'
export {
  type GceEvidence,
  type GceExpectation,
  type GceFacts,
  type GceLink,
  gceReportData,
  type VerifiedGceEvidence,
  verifyGceVtpm,
} from './verify-gce-vtpm.ts'
export {
  type GceLaunchEndorsementContent,
  type VerifiedGceLaunchEndorsement,
  verifyGceLaunchEndorsement,
} from './launch-endorsement.ts'
export { googleVtpmRoots } from './roots.ts'
