import { TpmError } from './errors.ts'
import { named, U16 } from './table.ts'

/** TPM_ALG_ID. @source TCG Algorithm Registry, TPM_ALG_ID */
export const ALGORITHMS = {
  rsa: 0x0001,
  tdes: 0x0003,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  mgf1: 0x0007,
  keyedhash: 0x0008,
  xor: 0x000a,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  sm3_256: 0x0012,
  sm4: 0x0013,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  sm2: 0x001b,
  ecschnorr: 0x001c,
  ecmqv: 0x001d,
  kdf1_sp800_56a: 0x0020,
  kdf2: 0x0021,
  kdf1_sp800_108: 0x0022,
  ecc: 0x0023,
  symcipher: 0x0025,
  camellia: 0x0026,
  sha3_256: 0x0027,
  sha3_384: 0x0028,
  sha3_512: 0x0029,
  cmac: 0x003f,
  ctr: 0x0040,
  ofb: 0x0041,
  cbc: 0x0042,
  cfb: 0x0043,
  ecb: 0x0044,
} as const

export type AlgorithmName = keyof typeof ALGORITHMS

const NAMES = new Map<number, AlgorithmName>(Object.entries(ALGORITHMS).map(([n, id]) => [id, n as AlgorithmName]))

/** The name of a TPM_ALG_ID, or undefined for one that this package does not know. */
export function algorithmName(id: number): AlgorithmName | undefined {
  return NAMES.get(id)
}

/** A hash that a TPM may name. Only those in `SoftwareHash` can be computed here. */
export type TpmHash = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'sm3_256' | 'sha3_256' | 'sha3_384' | 'sha3_512'

/** A hash that the crypto port can compute. The same names as `HashName` of the verifier's port. */
export type SoftwareHash = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** Digest of the concatenation of `parts`: the one piece of cryptography that names and policies need. */
export type DigestFunction = (hash: SoftwareHash, ...parts: readonly Uint8Array[]) => Uint8Array

/** Digest sizes in bytes. */
export const DIGEST_BYTES: Readonly<Record<TpmHash, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  sm3_256: 32,
  sha3_256: 32,
  sha3_384: 48,
  sha3_512: 64,
}

/** Guards a hash that has to be computed here. Throws `evidence.algorithm` for the others. */
export function softwareHash(hash: TpmHash | 'null'): SoftwareHash {
  if (hash === 'sha1' || hash === 'sha256' || hash === 'sha384' || hash === 'sha512') return hash
  throw new TpmError('evidence.algorithm', `${hash} cannot be computed here`)
}

function subset<const N extends AlgorithmName>(...wanted: readonly N[]): Readonly<Record<N, number>> {
  return Object.fromEntries(wanted.map((name) => [name, ALGORITHMS[name]] as const)) as unknown as Record<N, number>
}

const HASHES = ['sha1', 'sha256', 'sha384', 'sha512', 'sm3_256', 'sha3_256', 'sha3_384', 'sha3_512'] as const

/** TPMI_ALG_HASH */
export const HASH = named('hash algorithm', U16, subset(...HASHES))
/** TPMI_ALG_HASH+ */
export const HASH_OR_NULL = named('hash algorithm', U16, subset(...HASHES, 'null'))
/** TPMI_ALG_PUBLIC */
export const PUBLIC_TYPE = named('public object type', U16, subset('rsa', 'ecc', 'keyedhash', 'symcipher'))
/** TPMI_ALG_SYM_OBJECT+ */
export const SYMMETRIC = named('block cipher', U16, subset('aes', 'camellia', 'sm4', 'null'))
/** TPMI_ALG_SYM+, as for sessions */
export const SESSION_SYMMETRIC = named('session cipher', U16, subset('aes', 'camellia', 'sm4', 'xor', 'null'))
/** TPMI_ALG_SYM_MODE+ */
export const SYMMETRIC_MODE = named('cipher mode', U16, subset('ctr', 'ofb', 'cbc', 'cfb', 'ecb', 'null'))
/** TPMI_ALG_RSA_SCHEME+ */
export const RSA_SCHEME = named('RSA scheme', U16, subset('rsassa', 'rsapss', 'rsaes', 'oaep', 'null'))
/** TPMI_ALG_ECC_SCHEME+ */
export const ECC_SCHEME = named(
  'ECC scheme',
  U16,
  subset('ecdsa', 'ecdaa', 'sm2', 'ecschnorr', 'ecdh', 'ecmqv', 'null'),
)
/** TPMI_ALG_SIG_SCHEME+ */
export const SIGNATURE_SCHEME = named(
  'signature scheme',
  U16,
  subset('rsassa', 'rsapss', 'ecdsa', 'ecdaa', 'sm2', 'ecschnorr', 'hmac', 'null'),
)
/** TPMI_ALG_RSA_DECRYPT+ */
export const RSA_DECRYPT_SCHEME = named('RSA encryption scheme', U16, subset('rsaes', 'oaep', 'null'))
/** TPMI_ALG_KEYEDHASH_SCHEME+ */
export const KEYEDHASH_SCHEME = named('keyed hash scheme', U16, subset('hmac', 'xor', 'null'))
/** TPMI_ALG_KDF+ */
export const KDF = named(
  'key derivation function',
  U16,
  subset('mgf1', 'kdf1_sp800_56a', 'kdf2', 'kdf1_sp800_108', 'null'),
)
/** TPMI_ECC_KEY_EXCHANGE */
export const KEY_EXCHANGE = named('key exchange', U16, subset('ecdh', 'ecmqv', 'sm2', 'null'))
/** TPMI_ALG_MAC_SCHEME+ */
export const MAC_SCHEME = named('MAC scheme', U16, subset(...HASHES, 'cmac', 'null'))

/** TPM_ECC_CURVE. @source TCG Algorithm Registry, TPM_ECC_CURVE */
export const CURVES = {
  'P-192': 0x0001,
  'P-224': 0x0002,
  'P-256': 0x0003,
  'P-384': 0x0004,
  'P-521': 0x0005,
  'BN-256': 0x0010,
  'BN-638': 0x0011,
  'SM2-P256': 0x0020,
} as const
export type CurveName = keyof typeof CURVES
export const CURVE = named('curve', U16, CURVES)
