export { TPM_ERROR_CODES, TpmError } from './errors.ts'
export type { TpmErrorCode } from './errors.ts'
export { ByteReader } from './byte-reader.ts'
export type { Endian } from './byte-reader.ts'
export { ByteWriter } from './byte-writer.ts'

export { ALGORITHMS, algorithmName, CURVES, DIGEST_BYTES, softwareHash } from './algorithms.ts'
export type { AlgorithmName, CurveName, DigestFunction, SoftwareHash, TpmHash } from './algorithms.ts'
export { handleType, TPM_RH } from './handles.ts'
export type { HandleType, Hierarchy, PermanentEntity } from './handles.ts'
export { decodeResponseCode, describeResponseCode, TPM_RC } from './response-code.ts'
export type { ResponseCodeTarget, TpmResponseCode } from './response-code.ts'

export { encodePcrSelections, parsePcrSelections, PCR_COUNT } from './pcr-selection.ts'
export type { PcrSelection } from './pcr-selection.ts'
export { encodeTpmPublic, objectAttributes, parseTpmPublic } from './public-area.ts'
export type {
  EccPoint,
  ObjectAttribute,
  ObjectAttributes,
  RsaDecryptScheme,
  SymmetricObject,
  SymmetricSession,
  TpmEccPublic,
  TpmPublic,
  TpmRsaPublic,
  TpmSensitive,
} from './public-area.ts'
export { encodeTpmSignature, parseTpmSignature } from './signature.ts'
export type { SigningScheme, TpmSignature } from './signature.ts'
export { parseTpmAttest, parseTpmCertify, parseTpmCreation, parseTpmQuote, TPM_GENERATED } from './attest.ts'
export type { ClockInfo, TpmAttest, TpmAttestKind, TpmAttestOf, TpmCertify, TpmCreation, TpmQuote } from './attest.ts'
export { encodeTpmCreationData, encodeTpmTicket, parseTpmCreationData, parseTpmTicket } from './creation.ts'
export type { TpmCreationData, TpmTicket } from './creation.ts'
export { encodeTpmNvPublic, nvAttributes, parseTpmNvPublic } from './nv-public.ts'
export type { NvAttributes, NvFlag, NvType, TpmNvPublic } from './nv-public.ts'
export type { TaggedDigest } from './scalars.ts'
export { TPM_PT } from './capability.ts'
export type { CapabilityName, CapabilityValues } from './capability.ts'

export { handleName, tpmName, tpmNvName, tpmQualifiedName } from './name.ts'
export { PolicyDigest } from './policy-digest.ts'
export type { PolicyOperation } from './policy-digest.ts'
export { EK_POLICY_A_SHA256, sealedDataTemplate, TEMPLATES, WELL_KNOWN_HANDLES } from './templates.ts'
export type { TemplateName } from './templates.ts'
export { commandName, COMMANDS } from './commands/index.ts'
export type { CommandName, Commands } from './commands/index.ts'
