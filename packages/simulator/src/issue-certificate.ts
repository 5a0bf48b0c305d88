import { randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Certificate,
  Extension,
  Extensions,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509'

const DAY_MS = 86_400_000
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const RSA_WITH_SHA256 = '1.2.840.113549.1.1.11'
/** What RSA algorithm identifiers carry in place of parameters. */
const ASN_NULL = Uint8Array.of(5, 0).buffer

export interface CertificateRequest {
  readonly subject: Name
  readonly issuer: Name
  readonly publicKey: KeyObject
  /** EC P-256, or RSA. */
  readonly signingKey: KeyObject
  readonly extensions: readonly Extension[]
}

/**
 * Issues a certificate for the time of one run: from a day ago, since clocks differ, for a month.
 *
 * The structures are `@peculiar/asn1-x509`'s; its generator (`@peculiar/x509`) is not used because it drops the arcs of
 * an OID beyond 2^53, and the simulator's mark is such an OID.
 *
 * @returns DER.
 */
export function issueCertificate(request: CertificateRequest): Uint8Array<ArrayBuffer> {
  const now = Date.now()
  const serial = new Uint8Array(randomBytes(16))
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40 // positive, and never shorter than it looks
  const algorithm =
    request.signingKey.asymmetricKeyType === 'rsa'
      ? new AlgorithmIdentifier({ algorithm: RSA_WITH_SHA256, parameters: ASN_NULL })
      : new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 })
  const spki = request.publicKey.export({ type: 'spki', format: 'der' })
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serial.buffer,
    signature: algorithm,
    issuer: request.issuer,
    validity: new Validity({ notBefore: new Date(now - DAY_MS), notAfter: new Date(now + 30 * DAY_MS) }),
    subject: request.subject,
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions([...request.extensions]),
  })
  const signed = new Uint8Array(AsnConvert.serialize(tbsCertificate))
  const signature = new Uint8Array(sign('sha256', signed, request.signingKey))
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: signature.buffer,
  })
  return new Uint8Array(AsnConvert.serialize(certificate))
}

/** A name of one attribute a level, in the given order. */
export function distinguishedName(...attributes: readonly (readonly [oid: string, value: string])[]): Name {
  return new Name(
    attributes.map(
      ([type, utf8String]) =>
        new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String }) })]),
    ),
  )
}

/** @param value - The extension's structure, or DER bytes. */
export function extension(extnID: string, critical: boolean, value: object | Uint8Array<ArrayBuffer>): Extension {
  const der = value instanceof Uint8Array ? value : new Uint8Array(AsnConvert.serialize(value))
  return new Extension({ extnID, critical, extnValue: new OctetString(der) })
}
