export type { HashName, PublicKey, SignatureScheme, VerifyCrypto } from './crypto.ts'
