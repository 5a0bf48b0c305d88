export { parseSnpReport, type SnpFirmwareVersion, type SnpReport } from './parse-report.ts'
export type { SnpGuestPolicy, SnpPlatformInfo } from './guest-policy.ts'
export { parseSnpCertificateTable, SNP_TABLE_ENTRIES } from './certificate-table.ts'
export { type Vek, readVek } from './vek.ts'
export {
  type SnpEvidence,
  type SnpExpectation,
  type SnpFacts,
  type VerifiedSnpEvidence,
  verifySnpReport,
} from './verify-report.ts'
export { type SnpRoot, type SnpTrust, type VerifiedVek, snpRootsOf, verifyVek } from './verify-vek.ts'
export { amdSnpRoots } from './roots.ts'
export { SNP_PRODUCTS, type SnpProduct, type SnpTcb, decodeTcb, formatTcb, partsBelow, productOfCpu } from './tcb.ts'
