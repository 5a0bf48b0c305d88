export * from './codec/index.ts'
export * from './verify/index.ts'

export { Tpm } from './tpm/tpm.ts'
export type { TpmOptions } from './tpm/connection.ts'
export { permanentEntity, PersistentKey, TpmEntity, TpmObject, TpmSequence } from './tpm/entity.ts'
export type { CreationProof, HandleArgument, TpmKey } from './tpm/entity.ts'
export type { Arguments, Results, RunOptions } from './tpm/executor.ts'
export type {
  CreateChildOptions,
  CreatedObject,
  CreateOptions,
  CreatePrimaryOptions,
  ImportOptions,
  LoadOptions,
} from './tpm/keys.ts'
export type { HierarchyArgument } from './tpm/adopt.ts'
export type { KeyAuthorization } from './tpm/key-authorization.ts'
export type { Quote, QuoteOptions, SignedAttest, SignOptions } from './tpm/attestation.ts'
export type { TpmIdentity } from './tpm/capabilities.ts'
export type { PcrBank } from './tpm/pcr-bank.ts'
export { NvIndex } from './tpm/nv.ts'
export type { NvAccess } from './tpm/nv.ts'
export { approvalMessage, EK_POLICY, policyDigest } from './tpm/policy.ts'
export type { Policy, PolicyStep } from './tpm/policy.ts'
export { MAX_SEALED_BYTES } from './tpm/seal.ts'
export type { SealedObject, SealOptions, UnsealOptions } from './tpm/seal.ts'
export type { ActivateCredentialOptions } from './tpm/activate-credential.ts'
export type { TpmDigest } from './tpm/hashing.ts'
export type { KeyUse } from './tpm/use-key.ts'
export type { Duplicate } from './tpm/duplicate.ts'
export { EK_CERTIFICATE_INDICES, firstDer } from './tpm/ek-certificates.ts'
export type { EkCertificate, EkCertificateName } from './tpm/ek-certificates.ts'
export type { StartSessionOptions } from './tpm/start-session.ts'
export type { SessionType, TpmSession } from './session/session.ts'
export type { Authorization, SessionUse } from './session/authorization.ts'

export { createImportBlob, sealToKey } from './software/import-blob.ts'
export type { ImportBlob, ImportBlobOptions, SealToKeyOptions } from './software/import-blob.ts'
export { makeCredential } from './software/make-credential.ts'
export type { CredentialChallenge, MakeCredentialOptions } from './software/make-credential.ts'
export { digest } from './crypto/digest.ts'
export { nodeVerifyCrypto } from './crypto/verify-crypto.ts'
export { publicAreaFor, toKeyObject } from './crypto/keys.ts'

export { openTransport } from './transport/open-transport.ts'
export { QueuedTransport } from './transport/transport.ts'
export type { Channel, Transport } from './transport/transport.ts'
export { SwtpmControl } from './transport/swtpm-control.ts'
