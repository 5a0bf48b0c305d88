export { type DcapQuote, type QuotedBody, parseDcapQuote } from './parse-quote.ts'
export { type EnclaveReport, parseEnclaveReport } from './enclave-report.ts'
export { type Pck, type PckChain, readPck, readPckChain } from './pck.ts'
export {
  type CollateralTrust,
  type DcapCollateralInput,
  type SignedDocument,
  type VerifiedDcapCollateral,
  readSignedDocument,
  verifyDcapCollateral,
} from './collateral.ts'
export type { QeIdentity, TcbInfo, TcbRating } from './collateral-schema.ts'
export { TCB_STATUSES, type TcbStatus } from './tcb-status.ts'
export { type DcapFacts, type DcapTrust } from './verify-quote.ts'
export { intelSgxRoot } from './roots.ts'
