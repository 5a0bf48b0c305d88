import {
  CURVE,
  ECC_SCHEME,
  HASH,
  HASH_OR_NULL,
  KDF,
  KEYEDHASH_SCHEME,
  PUBLIC_TYPE,
  RSA_DECRYPT_SCHEME,
  RSA_SCHEME,
  SESSION_SYMMETRIC,
  SYMMETRIC,
  SYMMETRIC_MODE,
} from './algorithms.ts'
import { DIGEST, ECC_PARAMETER, RSA_KEY, SENSITIVE_DATA } from './scalars.ts'
import { encode, flags, parse, struct, U16, U32, variant } from './table.ts'
import type { TypeOf } from './table.ts'

/** TPMA_OBJECT */
export const OBJECT_ATTRIBUTES = flags('TPMA_OBJECT', {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  firmwareLimited: 8,
  svnLimited: 9,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
  x509sign: 19,
})
export type ObjectAttributes = TypeOf<typeof OBJECT_ATTRIBUTES>
export type ObjectAttribute = keyof ObjectAttributes

const NO_ATTRIBUTES: ObjectAttributes = {
  fixedTPM: false,
  stClear: false,
  fixedParent: false,
  sensitiveDataOrigin: false,
  userWithAuth: false,
  adminWithPolicy: false,
  firmwareLimited: false,
  svnLimited: false,
  noDA: false,
  encryptedDuplication: false,
  restricted: false,
  decrypt: false,
  sign: false,
  x509sign: false,
}

/** The named attributes set, all others clear. */
export function objectAttributes(...names: readonly ObjectAttribute[]): ObjectAttributes {
  return { ...NO_ATTRIBUTES, ...Object.fromEntries(names.map((name) => [name, true])) }
}

const BLOCK_CIPHER = { keyBits: U16, mode: SYMMETRIC_MODE }
/** TPMT_SYM_DEF_OBJECT */
export const SYMMETRIC_OBJECT = variant('algorithm', SYMMETRIC, {
  aes: BLOCK_CIPHER,
  camellia: BLOCK_CIPHER,
  sm4: BLOCK_CIPHER,
  null: {},
})
/** TPMT_SYM_DEF, as sessions use it */
export const SYMMETRIC_SESSION = variant('algorithm', SESSION_SYMMETRIC, {
  aes: BLOCK_CIPHER,
  camellia: BLOCK_CIPHER,
  sm4: BLOCK_CIPHER,
  xor: { hash: HASH },
  null: {},
})
export type SymmetricObject = TypeOf<typeof SYMMETRIC_OBJECT>
export type SymmetricSession = TypeOf<typeof SYMMETRIC_SESSION>

const HASHED = { hash: HASH }
/** TPMT_RSA_SCHEME */
export const RSA_KEY_SCHEME = variant('scheme', RSA_SCHEME, {
  rsassa: HASHED,
  rsapss: HASHED,
  rsaes: {},
  oaep: HASHED,
  null: {},
})
/** TPMT_RSA_DECRYPT */
export const RSA_DECRYPT = variant('scheme', RSA_DECRYPT_SCHEME, { rsaes: {}, oaep: HASHED, null: {} })
export type RsaDecryptScheme = TypeOf<typeof RSA_DECRYPT>
/** TPMT_ECC_SCHEME */
export const ECC_KEY_SCHEME = variant('scheme', ECC_SCHEME, {
  ecdsa: HASHED,
  ecdaa: { hash: HASH, count: U16 },
  sm2: HASHED,
  ecschnorr: HASHED,
  ecdh: HASHED,
  ecmqv: HASHED,
  null: {},
})
/** TPMT_KDF_SCHEME */
export const KDF_SCHEME = variant('scheme', KDF, {
  mgf1: HASHED,
  kdf1_sp800_56a: HASHED,
  kdf2: HASHED,
  kdf1_sp800_108: HASHED,
  null: {},
})
/** TPMT_KEYEDHASH_SCHEME */
export const KEYEDHASH_KEY_SCHEME = variant('scheme', KEYEDHASH_SCHEME, {
  hmac: HASHED,
  xor: { hash: HASH, kdf: KDF },
  null: {},
})
/** TPMS_ECC_POINT */
export const ECC_POINT = struct({ x: ECC_PARAMETER, y: ECC_PARAMETER })
export type EccPoint = TypeOf<typeof ECC_POINT>

const RSA_PARAMETERS = { symmetric: SYMMETRIC_OBJECT, scheme: RSA_KEY_SCHEME, keyBits: U16, exponent: U32 }
const ECC_PARAMETERS = { symmetric: SYMMETRIC_OBJECT, scheme: ECC_KEY_SCHEME, curve: CURVE, kdf: KDF_SCHEME }
const KEYEDHASH_PARAMETERS = { scheme: KEYEDHASH_KEY_SCHEME }
const SYMCIPHER_PARAMETERS = { symmetric: SYMMETRIC_OBJECT }

/** TPMT_PUBLIC_PARMS */
export const PUBLIC_PARAMETERS = variant('type', PUBLIC_TYPE, {
  rsa: RSA_PARAMETERS,
  ecc: ECC_PARAMETERS,
  keyedhash: KEYEDHASH_PARAMETERS,
  symcipher: SYMCIPHER_PARAMETERS,
})

const COMMON = { nameAlg: HASH_OR_NULL, attributes: OBJECT_ATTRIBUTES, authPolicy: DIGEST }

/**
 * TPMT_PUBLIC, with `parameters` and `unique` flattened. An RSA `exponent` of 0 means 65537.
 * Reading refuses all that writing would not give back, so `encodeTpmPublic(parseTpmPublic(raw))` equals `raw`.
 */
export const PUBLIC = variant('type', PUBLIC_TYPE, {
  rsa: { ...COMMON, ...RSA_PARAMETERS, modulus: RSA_KEY },
  ecc: { ...COMMON, ...ECC_PARAMETERS, x: ECC_PARAMETER, y: ECC_PARAMETER },
  keyedhash: { ...COMMON, ...KEYEDHASH_PARAMETERS, unique: DIGEST },
  symcipher: { ...COMMON, ...SYMCIPHER_PARAMETERS, unique: DIGEST },
})
export type TpmPublic = TypeOf<typeof PUBLIC>
export type TpmRsaPublic = Extract<TpmPublic, { type: 'rsa' }>
export type TpmEccPublic = Extract<TpmPublic, { type: 'ecc' }>

const SENSITIVE_COMMON = { authValue: DIGEST, seedValue: DIGEST }
/** TPMT_SENSITIVE. For RSA `sensitive` is one prime, for ECC the private scalar. */
export const SENSITIVE = variant('type', PUBLIC_TYPE, {
  rsa: { ...SENSITIVE_COMMON, sensitive: RSA_KEY },
  ecc: { ...SENSITIVE_COMMON, sensitive: ECC_PARAMETER },
  keyedhash: { ...SENSITIVE_COMMON, sensitive: SENSITIVE_DATA },
  symcipher: { ...SENSITIVE_COMMON, sensitive: DIGEST },
})
export type TpmSensitive = TypeOf<typeof SENSITIVE>

/** TPMS_SENSITIVE_CREATE */
export const SENSITIVE_CREATE = struct({ userAuth: DIGEST, data: SENSITIVE_DATA })

/**
 * Reads a TPMT_PUBLIC (no outer size).
 *
 * @throws {TpmError} `input.malformed`
 * @source TPM 2.0 Library, Part 2: Structures: TPMT_PUBLIC
 */
export function parseTpmPublic(raw: Uint8Array): TpmPublic {
  return parse('TPMT_PUBLIC', PUBLIC, raw, 4096)
}

export function encodeTpmPublic(area: TpmPublic): Uint8Array<ArrayBuffer> {
  return encode('TPMT_PUBLIC', PUBLIC, area)
}
