export { type TdAttributes, type TdReport, parseTdReport } from './parse-td-report.ts'
export { type TdxRating, rateTdxPlatform } from './rate-platform.ts'
export {
  type TdxEvidence,
  type TdxExpectation,
  type TdxFacts,
  type VerifiedTdxEvidence,
  verifyTdxQuote,
} from './verify-tdx-quote.ts'
