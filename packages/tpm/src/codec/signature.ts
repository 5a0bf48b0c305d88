import { HASH, SIGNATURE_SCHEME } from './algorithms.ts'
import { ECC_PARAMETER, RSA_KEY, TAGGED_DIGEST } from './scalars.ts'
import { encode, parse, U16, variant } from './table.ts'
import type { TypeOf } from './table.ts'

const RSA = { hash: HASH, signature: RSA_KEY }
const ECC = { hash: HASH, r: ECC_PARAMETER, s: ECC_PARAMETER }

/** TPMT_SIGNATURE */
export const SIGNATURE = variant('scheme', SIGNATURE_SCHEME, {
  rsassa: RSA,
  rsapss: RSA,
  ecdsa: ECC,
  ecdaa: ECC,
  sm2: ECC,
  ecschnorr: ECC,
  hmac: { hmac: TAGGED_DIGEST },
  null: {},
})
export type TpmSignature = TypeOf<typeof SIGNATURE>

const HASHED = { hash: HASH }
/** TPMT_SIG_SCHEME */
export const SIGNING_SCHEME = variant('scheme', SIGNATURE_SCHEME, {
  rsassa: HASHED,
  rsapss: HASHED,
  ecdsa: HASHED,
  ecdaa: { hash: HASH, count: U16 },
  sm2: HASHED,
  ecschnorr: HASHED,
  hmac: HASHED,
  null: {},
})
export type SigningScheme = TypeOf<typeof SIGNING_SCHEME>

/**
 * Reads a TPMT_SIGNATURE. ECDSA's `r` and `s` are big-endian without the leading zeros that some TPMs leave out: pad them
 * to the field size before checking.
 *
 * @throws {TpmError} `input.malformed`
 * @source TPM 2.0 Library, Part 2: Structures: TPMT_SIGNATURE
 */
export function parseTpmSignature(raw: Uint8Array): TpmSignature {
  return parse('TPMT_SIGNATURE', SIGNATURE, raw, 2048)
}

export function encodeTpmSignature(signature: TpmSignature): Uint8Array<ArrayBuffer> {
  return encode('TPMT_SIGNATURE', SIGNATURE, signature)
}
