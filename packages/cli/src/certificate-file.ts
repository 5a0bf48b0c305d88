import { VouchsafeError, fromUtf8, x509 } from '@vouchsafe/core'

/** A certificate's DER from a file that holds it as PEM or as DER. @throws {VouchsafeError} `endorsement.malformed`, `input.malformed` */
export function parsePemOrDer(bytes: Uint8Array, file: string): Uint8Array {
  const der = bytes[0] === 0x30 ? bytes : x509.parsePem(fromUtf8(bytes, file), 'CERTIFICATE')[0]
  if (der === undefined) throw new VouchsafeError('input.malformed', `${file}: neither PEM nor DER`)
  x509.parseCertificate(der)
  return der
}
