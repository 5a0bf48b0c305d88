export { ERROR_CODES, VouchsafeError, type ErrorCode } from './base/errors.ts'
export type { Brand } from './base/brand.ts'
export type { CryptoPort, HashName, PublicKey, SignatureScheme } from './base/crypto.ts'
export { assertVerified, type Verified } from './evidence/verified.ts'
