import { TpmError } from '../codec/errors.ts'
import type { TpmEccPublic, TpmPublic, TpmRsaPublic } from '../codec/public-area.ts'

/** Curves whose signatures are checked here, with the size of a coordinate. */
export const FIELD_BYTES = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const
export type SigningCurve = keyof typeof FIELD_BYTES

const MIN_RSA_BITS = 2048
const F4 = 65_537

const RSA_ENCRYPTION = der(0x30, oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01), Uint8Array.of(0x05, 0x00))
const EC_PUBLIC_KEY = oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01)
const CURVE_OIDS = {
  'P-256': oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  'P-384': oid(0x2b, 0x81, 0x04, 0x00, 0x22),
  'P-521': oid(0x2b, 0x81, 0x04, 0x00, 0x23),
} as const satisfies Record<SigningCurve, Uint8Array>

/**
 * The DER SubjectPublicKeyInfo of a TPM key: what certificates and crypto libraries mean by the same key. Whether the
 * point lies on its curve is for `importPublicKey` to say.
 *
 * @throws {TpmError} `evidence.algorithm` for keys other than RSA of at least 2048 bits and P-256, P-384, P-521;
 *   `input.malformed` when sizes contradict each other.
 * @source RFC 5480, RFC 3279 section 2.3.1
 */
export function spkiOfTpmPublic(area: TpmPublic): Uint8Array<ArrayBuffer> {
  switch (area.type) {
    case 'rsa':
      return rsaSpki(area)
    case 'ecc':
      return eccSpki(area)
    case 'keyedhash':
    case 'symcipher':
      throw new TpmError('evidence.algorithm', `TPMT_PUBLIC: a ${area.type} object has no public key`)
  }
}

/** The curve, when it is one whose signatures are checked here. */
export function signingCurve(area: TpmEccPublic): SigningCurve {
  if (area.curve === 'P-256' || area.curve === 'P-384' || area.curve === 'P-521') return area.curve
  throw new TpmError('evidence.algorithm', `TPMT_PUBLIC: curve ${area.curve}, wanted P-256, P-384 or P-521`)
}

function rsaSpki({ keyBits, exponent, modulus }: TpmRsaPublic): Uint8Array<ArrayBuffer> {
  if (keyBits < MIN_RSA_BITS)
    throw new TpmError('evidence.algorithm', `TPMT_PUBLIC: RSA of ${keyBits} bits, wanted at least ${MIN_RSA_BITS}`)
  if (modulus.length * 8 !== keyBits || (modulus[0] ?? 0) < 0x80)
    throw new TpmError(
      'input.malformed',
      `TPMT_PUBLIC: modulus of ${modulus.length} bytes is not one of ${keyBits} bits`,
    )
  // a small exponent lets padding flaws of a verifier be turned into forged signatures (B12)
  if (exponent !== 0 && (exponent < F4 || exponent % 2 === 0))
    throw new TpmError('evidence.algorithm', `TPMT_PUBLIC: RSA exponent ${exponent}, wanted ${F4} or a larger odd one`)
  const e = exponent === 0 ? F4 : exponent
  const exponentBytes = Uint8Array.of(e >>> 24, (e >>> 16) & 0xff, (e >>> 8) & 0xff, e & 0xff)
  const key = der(0x30, unsigned(modulus), unsigned(exponentBytes))
  return der(0x30, RSA_ENCRYPTION, bitString(key))
}

function eccSpki(area: TpmEccPublic): Uint8Array<ArrayBuffer> {
  const curve = signingCurve(area)
  const point = concat([Uint8Array.of(0x04), padded('x', area.x, curve), padded('y', area.y, curve)])
  return der(0x30, der(0x30, EC_PUBLIC_KEY, CURVE_OIDS[curve]), bitString(point))
}

function padded(name: string, coordinate: Uint8Array, curve: SigningCurve): Uint8Array {
  const field = FIELD_BYTES[curve]
  if (coordinate.length > field)
    throw new TpmError(
      'input.malformed',
      `TPMT_PUBLIC: ${name} has ${coordinate.length} bytes, over ${field} of ${curve}`,
    )
  return leftPad(coordinate, field)
}

/** `bytes` with zeros before them; must not be longer than `length`. */
export function leftPad(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length)
  out.set(bytes, length - bytes.length)
  return out
}

/** An INTEGER that is not negative, in its shortest form. */
function unsigned(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0)
  const shortest = first < 0 ? Uint8Array.of(0) : bytes.subarray(first)
  return (shortest[0] ?? 0) < 0x80 ? der(0x02, shortest) : der(0x02, Uint8Array.of(0), shortest)
}

function bitString(bytes: Uint8Array): Uint8Array {
  return der(0x03, Uint8Array.of(0), bytes)
}

function oid(...bytes: readonly number[]): Uint8Array {
  return der(0x06, Uint8Array.from(bytes))
}

function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = concat(contents)
  const n = content.length
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff]
  return concat([Uint8Array.of(tag, ...length), content])
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
