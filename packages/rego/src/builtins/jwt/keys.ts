import { BuiltinError, within } from '../contract.ts'
import { parseCertificate, parsePublicKeyInfo } from '../x509/certificate.ts'
import { readDer } from '../x509/der.ts'
import { firstPemBlock } from '../x509/pem.ts'
import { verificationKeys, type VerificationKey } from './jwk.ts'

/** The keys in a PEM certificate, a PEM public key, a JWK or a JWK set. */
export function keysFrom(material: string): VerificationKey[] {
  const pem = firstPemBlock(material)
  if (pem === undefined) return verificationKeys(material)
  if (pem.rest !== '') throw new BuiltinError('extra data after a PEM certificate block')
  const { label, bytes } = pem.block
  if (label === 'CERTIFICATE')
    return [keyOf(within('failed to parse a PEM certificate', () => parseCertificate(bytes).publicKey.raw))]
  if (label === 'PUBLIC KEY') {
    return [keyOf(within('failed to parse a PEM public key', () => parsePublicKeyInfo(readDer(bytes)).raw))]
  }
  throw new BuiltinError('failed to extract a Key from the PEM certificate')
}

function keyOf(spki: Uint8Array<ArrayBuffer>): VerificationKey {
  return { spki, alg: undefined, kid: undefined }
}
