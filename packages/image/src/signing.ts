/** Signatures, policies and statements: made as well as checked. */
export * from './verifying.ts'
export { generateSigningKey, parseSigningKey, signingKey, type SigningKey } from './sign/private-key.ts'
export { cosignPayload, joinCosign, signCosign, signSimple, type ToSign } from './sign/sign-payload.ts'
export { dsseEnvelope, joinBundle, signBundle, signStatement, toBeSigned } from './sign/sign-bundle.ts'
export { putIntoService } from './signature/scheme/registry-service.ts'
export { attachBundle, attachCosign, attachEnvelope } from './sign/attach.ts'
export { parseStatement, PREDICATES, type Statement, subjectFor, writeStatement } from './statement/statement.ts'
export { type BuildIdentity, builderId, parseBuildIdentity, writeBuildIdentity } from './statement/build-identity.ts'
export {
  BUILD_TYPE,
  type ExpectedBuild,
  parseProvenance,
  type Provenance,
  provenanceStatement,
  verifyProvenance,
} from './statement/provenance.ts'
export {
  type Attached,
  findStatements,
  type FoundStatements,
  listAttached,
  verifyEnvelope,
  type VerifiedStatement,
} from './statement/find-statements.ts'
