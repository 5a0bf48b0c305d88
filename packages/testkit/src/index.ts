export { haveVectors, missingVectors, readVector, readVectorText, vectorsRoot } from './vectors.ts'
export * as derWriter from './der.ts'
export {
  AUTHORITY,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  makeKey,
  makeRevocationList,
  signDer,
  TEST_NOT_AFTER,
  TEST_NOT_BEFORE,
  tpmAlternativeName,
} from './x509.ts'
export type { CertificateSpec, KeyKind, RevocationListSpec, TestCertificate, TestExtension, TestKey } from './x509.ts'
export {
  defaultTcb,
  encodeSnpCertificateTable,
  encodeSnpReport,
  makeAmdAuthorities,
  makeSnpReport,
  makeVek,
  signSnpReport,
  testHwid,
} from './amd.ts'
export type { AmdAuthorities, AmdProduct, AmdTcb, SnpReportSpec, VekSpec } from './amd.ts'
export {
  defaultComponents,
  makeIntelAuthorities,
  makePck,
  rawSign,
  svns,
  TEST_FMSPC,
  toPem,
  type IntelAuthorities,
  type PckSpec,
} from './intel.ts'
export {
  encodeEnclaveReport,
  encodeTdReport,
  makeQuote,
  TEST_QE_SIGNER,
  type EnclaveReportSpec,
  type QuoteSpec,
  type TdReportSpec,
} from './intel-quote.ts'
export { makeIntelCollateral, signedResponse, type CollateralSpec, type TestCollateral } from './intel-collateral.ts'
export { makeVtpmQuote, signAttest, zeroRegisters, type VtpmQuote, type VtpmQuoteSpec } from './vtpm.ts'
export { encodeHclReport, makeRuntimeData, runtimeDataDigest, type HclReportSpec } from './azure.ts'
export { makeLaunchEndorsement, protobufBytes, protobufNumber, type LaunchEndorsementSpec } from './gce.ts'
export { startFaultyServer, type Answer, type Fault, type FaultyServer } from './faulty-server.ts'
export {
  cborTag,
  encodeCbor,
  makeCcaToken,
  TEST_IMPLEMENTATION_ID,
  TEST_INSTANCE_ID,
  type Cbor,
  type CcaSpec,
} from './cca.ts'
export { makeFirmwareImage, TEST_SECTIONS, type FirmwareSpec } from './firmware.ts'
export { makeGpu, makeNvidiaRoot, type GpuSpec, type TestGpu } from './nvidia.ts'
export {
  GCE_ISSUER,
  gceAuditEntry,
  type GceInstanceSpec,
  GcePlatform,
  gceRecording,
  TlsAuthority,
  type TlsIdentity,
} from './gce-platform.ts'
export { FUZZ_SECONDS, feed } from './feed.ts'
