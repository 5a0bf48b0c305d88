export type { CcaLifecycle, CcaPlatformClaims, CcaRealmClaims, CcaSoftwareComponent } from './claims.ts'
export {
  type CcaAnchor,
  type CcaExpectation,
  type CcaFacts,
  type VerifiedCcaEvidence,
  parseCcaToken,
  verifyCcaToken,
} from './verify-cca-token.ts'
