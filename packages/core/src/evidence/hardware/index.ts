export {
  collateralSchema,
  type HardwareCollateral,
  type HardwareEvidence,
  hardwareEvidenceSchema,
} from './hardware-evidence.ts'
export { hardwareReportData } from './report-data.ts'
export {
  hardwareMachineId,
  type HardwareFacts,
  type HardwareTrust,
  type VerifiedHardwareEvidence,
  verifyHardwareEvidence,
} from './verify-hardware-evidence.ts'
