export * from './base/index.ts'
export type { CryptoPort, HashName, PublicKey, SignatureScheme } from './base/crypto.ts'
export { parseSchema } from './base/schema.ts'
export { type Digest, digestOf, parseDigest } from './base/digest.ts'
export {
  type P256Jwk,
  formatOwnerKey,
  ownerKeySchema,
  jwkThumbprint,
  p256JwkSchema,
  parseOwnerKey,
  spkiOfEd25519,
  spkiOfP256,
} from './base/keys.ts'
export { transcript } from './base/transcript.ts'

export { attest, release, toVerdict, type Walk, type WalkOf } from './flow.ts'
export { type ClientResult, distribute } from './distribute.ts'
export { type Replay, replayRecord } from './replay.ts'
export { type Access, type Supposition, type WhatIf, whatIf } from './what-if.ts'

export type { AnyEvidenceRequest } from './evidence/verify-any.ts'
export { type EvidenceBinding, evidenceBinding, workloadEvidenceBinding } from './evidence/binding.ts'
export { type AuditEntry, type InstanceFacts, instanceFactsSchema } from './evidence/instance/instance-facts.ts'
export {
  type IdentityKey,
  claimedIdentity,
  identityKeySchema,
  verifyIdentityDocument,
} from './evidence/instance/identity-document.ts'
export {
  type ClientExchange,
  channelNonce,
  clientActivationProof,
  clientQuoteBinding,
  signingKeyBinding,
} from './evidence/instance/client-binding.ts'
export { type ClientTpmEvidence, verifyClientTpm } from './evidence/instance/client-tpm.ts'
export { assertVerified, type Verified } from './evidence/verified.ts'
export { translated } from './evidence/tpm/translate.ts'
export { type Enrolment, type TpmEvidence, enrolmentSchema, tpmEvidenceSchema } from './evidence/tpm/tpm-evidence.ts'
export {
  type EnrolmentSubject,
  enrolmentProof,
  enrolmentTranscript,
  machineId,
  SIMULATOR_OID,
  verifyEndorsement,
} from './evidence/tpm/enrolment.ts'

export { ASSURANCE_CLASSES, type AssuranceClass, type Claims, type LaunchClaims, isAtLeast } from './claims/claims.ts'
export { CLAIM_SCHEMA, type ClaimType } from './claims/claim-schema.ts'
export { claimPaths } from './claims/claim-paths.ts'

export {
  type Agreement,
  type AgreementBody,
  type BrokerPin,
  type Grant,
  type Owner,
  type RegoCondition,
  MAX_CEL_BYTES,
  agreementSchema,
  brokerPinSchema,
  grantSchema,
  nameSchema,
  parseAgreement,
  resourcePathSchema,
} from './agreement/agreement.ts'
export { type Envelope, envelopeSchema, openEnvelope, signEnvelope } from './agreement/envelope.ts'
export {
  CLIENT_CLASSES,
  type ClientClass,
  type ClientSecret,
  type ClientTerms,
  type ClientTermsBody,
  clientTermsName,
  clientTermsSchema,
  isClientTerms,
  parseClientTerms,
} from './agreement/client-terms.ts'
export {
  type Approval,
  type Statement,
  type Withdrawal,
  signStatement,
  verifyStatement,
} from './agreement/statement.ts'

export { type Appraisal, type Finding, TIERS, type Tier } from './appraisal/finding.ts'
export { changesAfterCreation } from './appraisal/audit-trail.ts'
export { appraiseInstance } from './appraisal/client.ts'
export { type DistrustRule, distrustRuleSchema, isDistrusted } from './appraisal/distrust.ts'

export { TOKEN_LIFETIME_SECONDS, type TokenSigner, type TokenSubject, issueToken } from './token/issue.ts'
export { type TokenExpectation, type TokenPayload, claimedId, verifyToken } from './token/verify.ts'
export { LEFT_TO_POLICY, type PkiToken, type PkiTokenExpectation, verifyPkiToken } from './token/verify-pki.ts'
export { pinPkiRoot } from './token/pki-root.ts'
export { readJws } from './token/jws.ts'
export { type Presentation, verifyPresentation } from './token/presentation.ts'
export { type ProofSubject, claimedNonce, signProof, verifyProof } from './token/proof.ts'
export { type RequestClaims, type RequestSubject, signRequest, verifyRequest } from './token/signed-request.ts'
export type { AttestationResult } from './token/attestation-result.ts'

export { type ConditionFinding, type Decision, type Reason, type Stage } from './policy/decision.ts'
export { type Judgement, judgeGrant } from './policy/judge-grant.ts'
export { type PolicyFinding } from './policy/policy-finding.ts'
export { type GrantFinding, checkGrant, checkGrants, placeText } from './policy/check-grant.ts'
export { assertPolicies } from './policy/assert-policies.ts'
export { type AttributeRules, type Principal, parseAttributeRules, principalOf } from './policy/attribute-rules.ts'
export { compileRego, REGO_BOUNDS } from './policy/rego/compile-rego.ts'
export { REFERENCE_FUNCTION, ReferenceQueries, referenceFunction } from './policy/rego/reference-function.ts'
export { type RegoAnswer, type RegoContext, evaluateRego } from './policy/judge-rego.ts'
export { type Shadow, type ShadowFinding, shadowSchema } from './policy/shadow.ts'
export { type Standing, judgeStanding } from './policy/standing.ts'

export { type SealedContext, type SealedExpectation, open, readSealedHeader, seal } from './release/seal.ts'

export * from './ledger/index.ts'
export * as x509 from './x509/index.ts'
export * as evidence from './evidence/index.ts'
export { appraiseSgx, type SgxReference, sgxReferenceSchema } from './appraisal/sgx.ts'
export { appraiseSnp } from './appraisal/snp.ts'
export { appraiseTdx } from './appraisal/tdx.ts'
export { type SnpReference, snpReferenceSchema } from './agreement/reference/snp-reference.ts'
export { type TdxReference, tdxReferenceSchema } from './agreement/reference/tdx-reference.ts'
export {
  liveEntries,
  readReferenceFile,
  REFERENCE_TYPE,
  type ReferenceEntry,
  referenceEntrySchema,
  type ReferenceFile,
  referenceFileSchema,
  openReferenceVersion,
  referenceNameSchema,
  type ReferenceSet,
  type ReferenceVersion,
} from './agreement/reference/reference-set.ts'
export {
  type FiledSet,
  filedSetSchema,
  type NamedSet,
  namedSetSchema,
  type OpenedSet,
  openNamedSets,
} from './agreement/reference/named-set.ts'
export { type ReferenceAnswer, queryReference } from './agreement/reference/query-reference.ts'
export { type ReferenceJson, referenceJsonSchema } from './agreement/reference/reference-json.ts'
export { type Component, type Covered, coverageOf } from './agreement/reference/coverage.ts'
export { type CorimValue, readCorim } from './agreement/reference/corim.ts'
export { type HardwareTerms, hardwareTermsSchema } from './agreement/reference/hardware-terms.ts'
export * as wire from './wire/api.ts'
export { type DistributionInputs, distributionInputsSchema } from './wire/distribution-inputs.ts'
export * as distributorWire from './wire/distributor.ts'
export {
  type AttestInputs,
  type DecisionRecord,
  MAX_RECORD_BYTES,
  RECORD_TYPE,
  type ReleaseInputs,
  type TpmAttestInputs,
  type Verdict,
  attestInputsSchema,
  decisionRecordSchema,
} from './wire/decision-record.ts'
export { httpStatus } from './wire/http-status.ts'
