/** Who signed, and whether that is enough: what a guest needs. Apart from the index: OpenPGP and Sigstore's verifier take time to load. */
export {
  parsePublicKey,
  type SignatureAlgorithm,
  type VerificationKey,
  verificationKey,
} from './signature/verification-key.ts'
export { parsePayload, type Payload } from './signature/payload.ts'
export {
  ANNOTATION,
  type BundleSignature,
  type CosignSignature,
  parseSignatureFile,
  type SimpleSignature,
  type StoredSignature,
  writeSignatureFile,
} from './signature/stored-signature.ts'
export { type Signer, type SignerTrust, verifyCosignSignature } from './signature/verify-cosign.ts'
export { type KeyRing, parseKeyRing, type SimpleTrust, verifySimpleSignature } from './signature/verify-simple.ts'
export { type BundleContent, type BundleTrust, verifyBundle } from './signature/verify-bundle.ts'
export { parseTrustedRoot, rootOf, type SigstoreRoot } from './signature/sigstore-root.ts'
export {
  findLookasideSignatures,
  findSigstoreSignatures,
  type FoundSignature,
  type LookasideReader,
  signatureTag,
} from './signature/find-signatures.ts'
export type {
  Attributed,
  SchemeModule,
  SignaturePlace,
  SignedDocument,
  SignatureScheme,
  UnreadableSignature,
} from './signature/scheme/scheme.ts'
export { cosignTag } from './signature/scheme/cosign-tag.ts'
export { sigstoreBundle } from './signature/scheme/bundle.ts'
export { simpleSigning } from './signature/scheme/simple-signing.ts'
export { registryService } from './signature/scheme/registry-service.ts'
export { claimSignatures, CONFIDENTIAL_SPACE, type ImageSignatureClaim } from './signature/confidential-space.ts'
export { type ImagePolicy, parsePolicy, REJECT_ALL, writePolicy } from './policy/parse-policy.ts'
export { chooseScope } from './policy/scope.ts'
export { matchesIdentity, type SignedIdentity } from './policy/signed-identity.ts'
export { type MaterialReader, materialNamedBy, readMaterialFrom } from './policy/material.ts'
export { mergeRegistriesD, readRegistriesD, type RegistriesD, storesFor } from './policy/registries-d.ts'
export { decideImage, type ImageDecision, type RequirementFinding } from './policy/decide-image.ts'
export type { AcceptedSigner, SignedImage } from './policy/judge-signature.ts'
export { decideBySignatures, explainRefusal, type PolicyPorts, pullPolicy } from './policy/pull-policy.ts'
