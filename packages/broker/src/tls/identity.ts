import 'reflect-metadata' // @peculiar/x509 wires itself by decorators
import { toBase64Url } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
/** Long, because agreements pin it; a broker with a new identity is another broker. */
const AUTHORITY_DAYS = 3650
/** A leaf lives as long as a process might; each start makes a new one. */
const LEAF_DAYS = 90

/** A broker's identity: the certificate authority of its own TLS endpoint. Its key signs nothing but that (A21). */
export interface BrokerIdentity {
  readonly certificate: Uint8Array
  /** PKCS#8; kept only wrapped. */
  readonly privateKey: Uint8Array
}

/** `broker:` and the SHA-256 of the identity key's SubjectPublicKeyInfo in base64url. */
export function brokerId(certificate: Uint8Array): string {
  const { publicKey } = new x509.X509Certificate(copy(certificate))
  return `broker:${toBase64Url(nodeCrypto.digest('sha256', new Uint8Array(publicKey.rawData)))}`
}

/** Makes an identity, once in a broker's life. */
export async function createIdentity(at: Date): Promise<BrokerIdentity> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=vouchsafe broker identity',
    notBefore: new Date(at.getTime() - DAY_MS),
    notAfter: new Date(at.getTime() + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const privateKey = new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  return { certificate: new Uint8Array(certificate.rawData), privateKey }
}

/** A server certificate for these host names and addresses, under the identity. Its key is made here and never stored. */
export async function issueServerCertificate(
  identity: BrokerIdentity,
  hosts: readonly string[],
  at: Date,
): Promise<{ readonly cert: string; readonly key: string }> {
  const issuer = new x509.X509Certificate(copy(identity.certificate))
  const signingKey = await crypto.subtle.importKey('pkcs8', copy(identity.privateKey), ALGORITHM, false, ['sign'])
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${hosts[0] ?? 'broker'}`,
    issuer: issuer.subject,
    notBefore: new Date(at.getTime() - DAY_MS),
    notAfter: new Date(at.getTime() + LEAF_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hosts.map(alternativeName)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return {
    cert: `${certificate.toString('pem')}\n${issuer.toString('pem')}`,
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  }
}

function serial(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex')
}

/** A private copy in memory of its own, as WebCrypto types want it. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

function alternativeName(host: string): x509.JsonGeneralName {
  return { type: /^[0-9.]+$|:/.test(host) ? 'ip' : 'dns', value: host }
}
