/**
 * What is below evidence and policy: bytes, strict JSON, secrets, errors. Whoever needs no more than this reads a dozen
 * modules, and not the thousand that a verifier takes.
 */
export { ERROR_CODES, VouchsafeError, type ErrorCode } from './errors.ts'
export type { Brand } from './brand.ts'
export { Secret } from './secret.ts'
export { concat, fromBase64, fromBase64Url, fromHex, fromUtf8, toBase64, toBase64Url, toHex, utf8 } from './encoding.ts'
export { parseStrictJson, type Json, type JsonLimits } from './strict-json.ts'
export { preAuthEncoding } from './pre-auth-encoding.ts'
