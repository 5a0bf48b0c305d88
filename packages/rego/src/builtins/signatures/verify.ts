import type { BuiltinContext } from '../contract.ts'
import { hex } from '../encoding.ts'
import type { SignatureAlgorithm } from '../jwt/algorithms.ts'
import { COORDINATE_BYTES, CURVES, KEY_ALGORITHMS } from '../x509/algorithms.ts'
import { parsePublicKeyInfo } from '../x509/certificate.ts'
import { readDer } from '../x509/der.ts'
import { webCryptoSignatures } from './web-crypto.ts'

type Bytes = Uint8Array<ArrayBuffer>

const CURVE_OF: Partial<Record<SignatureAlgorithm, keyof typeof COORDINATE_BYTES>> = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
}

/** Can a key of this kind make such signatures at all? If not, the signature is simply wrong. */
function fits(algorithm: SignatureAlgorithm, spki: Bytes, signature: Bytes): boolean {
  const info = parsePublicKeyInfo(readDer(spki))
  const kind = KEY_ALGORITHMS.get(info.algorithm)?.kind
  if (algorithm === 'EdDSA') return kind === 'Ed25519' && signature.length === 64
  const curve = CURVE_OF[algorithm]
  if (curve === undefined) return kind === 'RSA'
  return kind === 'EC' && CURVES.get(info.curve ?? '') === curve && signature.length === 2 * COORDINATE_BYTES[curve]
}

/**
 * Is this the signature of that message by that key?
 *
 * @param spki - DER SubjectPublicKeyInfo.
 * @param signature - ECDSA as r ‖ s.
 */
export function verifySignature(
  ctx: BuiltinContext,
  algorithm: SignatureAlgorithm,
  spki: Bytes,
  message: Bytes,
  signature: Bytes,
): boolean {
  if (!fits(algorithm, spki, signature)) return false
  const { verify } = ctx.host.signatures ?? webCryptoSignatures
  ctx.spend(200 + (message.length >> 5))
  const key = ['verify', algorithm, hex(spki), hex(message), hex(signature)].join('\0')
  return ctx.settle(key, () => verify(algorithm, spki, message, signature))
}

/** Signs a message. @param pkcs8 - DER private key. @returns ECDSA as r ‖ s */
export function makeSignature(
  ctx: BuiltinContext,
  algorithm: SignatureAlgorithm,
  pkcs8: Bytes,
  message: Bytes,
): Uint8Array {
  const { sign } = ctx.host.signatures ?? webCryptoSignatures
  ctx.spend(1000 + (message.length >> 5))
  const key = ['sign', algorithm, hex(pkcs8), hex(message)].join('\0')
  return ctx.settle(key, () => sign(algorithm, pkcs8, message))
}
