import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { VouchsafeError, x509 } from '@vouchsafe/core'
import { publicAreaFor, TEMPLATES } from '@vouchsafe/tpm'
import { encodeTpmPublic, parseTpmPublic } from '@vouchsafe/tpm/codec'
import type { TpmPublic } from '@vouchsafe/tpm/codec'
import { spkiOfTpmPublic } from '@vouchsafe/tpm/verify'

/** A TPM2B_PUBLIC, as tpm2-tools keep public areas in files. */
export function encodePublicFile(area: TpmPublic): Uint8Array {
  return encodeSized(encodeTpmPublic(area))
}

/** A public area from a file that holds a TPM2B_PUBLIC or a TPMT_PUBLIC. */
export function readPublicFile(file: string): TpmPublic {
  return parseTpmPublic(withoutSize(new Uint8Array(readFileSync(file))))
}

/**
 * An endorsement key from a certificate (PEM, DER), a public key (PEM), or a public area. From the former two the area is
 * that of the TCG's default template for such a key.
 */
export function readEndorsementKeyFile(file: string): TpmPublic {
  const bytes = new Uint8Array(readFileSync(file))
  const spki = spkiOf(bytes)
  if (spki === undefined) return parseTpmPublic(withoutSize(bytes))
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  if (key.asymmetricKeyType === 'rsa') return publicAreaFor(key, TEMPLATES.ekRsa2048)
  const isP384 = key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
  return publicAreaFor(key, isP384 ? TEMPLATES.ekEccP384H : TEMPLATES.ekEccP256)
}

/** DER SubjectPublicKeyInfo of a key in a certificate (PEM, DER), a public key (PEM), or a public area. */
export function readPublicKeyFile(file: string): Uint8Array {
  const bytes = new Uint8Array(readFileSync(file))
  return spkiOf(bytes) ?? spkiOfTpmPublic(parseTpmPublic(withoutSize(bytes)))
}

/** The SubjectPublicKeyInfo of a PEM public key, or of a PEM or DER certificate. */
function spkiOf(bytes: Uint8Array): Uint8Array | undefined {
  const text = Buffer.from(bytes).toString('latin1')
  if (text.includes('-----BEGIN PUBLIC KEY-----')) return spkiOfPem(text)
  if (text.includes('-----BEGIN CERTIFICATE-----')) {
    const [der] = x509.parsePem(text, 'CERTIFICATE')
    return der && x509.readEkCertificate(der).certificate.spki
  }
  return bytes[0] === 0x30 ? x509.readEkCertificate(bytes).certificate.spki : undefined
}

function spkiOfPem(pem: string): Uint8Array {
  try {
    return new Uint8Array(createPublicKey(pem).export({ format: 'der', type: 'spki' }))
  } catch (cause) {
    throw new VouchsafeError('input.malformed', 'PEM: no public key that can be read', { cause })
  }
}

export function encodeSized(contents: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([Buffer.of(contents.length >> 8, contents.length & 0xff), contents]))
}

/** The contents of a TPM2B; bytes that do not begin with their own length are taken to have no such frame. */
export function withoutSize(bytes: Uint8Array): Uint8Array {
  const size = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
  return size === bytes.length - 2 ? bytes.slice(2) : bytes
}

/** The contents of a file that must be a TPM2B. */
export function readSizedFile(file: string): Uint8Array {
  const bytes = new Uint8Array(readFileSync(file))
  const contents = withoutSize(bytes)
  if (contents.length === bytes.length)
    throw new VouchsafeError('input.malformed', `${file}: not a TPM2B: it does not begin with its length`)
  return contents
}
