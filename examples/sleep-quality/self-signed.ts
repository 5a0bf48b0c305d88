import 'reflect-metadata' // @peculiar/x509 wires itself by decorators
import { createHash } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000

/** A key and a certificate that nobody vouches for: known by its fingerprint, or not at all. */
export interface SelfSigned {
  readonly cert: string
  readonly key: string
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly sha256: string
}

export async function selfSigned(name: string, at = new Date()): Promise<SelfSigned> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(at.getTime() - DAY_MS),
    notAfter: new Date(at.getTime() + 30 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  })
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    sha256: createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex'),
  }
}
