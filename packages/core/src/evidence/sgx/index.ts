export {
  type SgxEvidence,
  type SgxExpectation,
  type SgxFacts,
  type SgxRating,
  type VerifiedSgxEvidence,
  verifySgxQuote,
} from './verify-sgx-quote.ts'
