import { newRecord, numberFromBigInt, type MutableRecord, type Value } from '../../value/index.ts'
import { encodeBase64 } from '../base64.ts'
import { formatTime } from '../time/format-time.ts'
import { UTC } from '../time/zone.ts'
import { CURVES, COORDINATE_BYTES, KEY_ALGORITHMS, signatureAlgorithmOf } from './algorithms.ts'
import type { Certificate, Extension, PublicKeyInfo } from './certificate.ts'
import { readDer, TAG } from './der.ts'
import {
  alternativeNames,
  authorityInfo,
  authorityKeyId,
  basicConstraints,
  crlDistributionPoints,
  extendedKeyUsage,
  keyUsage,
  policyIdentifiers,
  subjectKeyId,
} from './extensions.ts'
import type { Name } from './names.ts'
import { EXTENDED_KEY_USAGES } from './usages.ts'

/** Certificates in the shape of Go's `x509.Certificate` as JSON, which policies are written against. */

function b64(bytes: Uint8Array): string {
  return encodeBase64(bytes, 'standard', true)
}

function orNull<V extends Value>(list: readonly V[]): Value {
  return list.length === 0 ? null : list
}

function arcs(oid: string): Value {
  return oid.split('.').map((arc) => numberFromBigInt(BigInt(arc)))
}

const NAME_LISTS: ReadonlyArray<readonly [string, string]> = [
  ['Country', '2.5.4.6'],
  ['Organization', '2.5.4.10'],
  ['OrganizationalUnit', '2.5.4.11'],
  ['Locality', '2.5.4.7'],
  ['Province', '2.5.4.8'],
  ['StreetAddress', '2.5.4.9'],
  ['PostalCode', '2.5.4.17'],
]

export function nameToGo(name: Name): Value {
  const all = (type: string): string[] => name.attributes.filter((a) => a.type === type).map((a) => a.value)
  const out = newRecord()
  for (const [field, type] of NAME_LISTS) out[field] = orNull(all(type))
  out['SerialNumber'] = all('2.5.4.5').at(-1) ?? ''
  out['CommonName'] = all('2.5.4.3').at(-1) ?? ''
  out['Names'] = orNull(name.attributes.map((a) => record({ Type: arcs(a.type), Value: a.value })))
  out['ExtraNames'] = null
  return out
}

function record(members: Readonly<Record<string, Value>>): MutableRecord {
  return Object.assign(newRecord(), members)
}

export function extensionsToGo(extensions: readonly Extension[]): Value {
  return orNull(extensions.map((e) => record({ Id: arcs(e.id), Critical: e.critical, Value: b64(e.value) })))
}

export function publicKeyToGo(info: PublicKeyInfo): Value {
  const kind = KEY_ALGORITHMS.get(info.algorithm)?.kind
  if (kind === 'RSA') {
    const [n, e] = readDer(info.key).expect(TAG.sequence).children()
    return record({ N: numberFromBigInt(n?.integer() ?? 0n), E: numberFromBigInt(e?.integer() ?? 0n) })
  }
  if (kind === 'Ed25519') return b64(info.key)
  const curve = CURVES.get(info.curve ?? '')
  if (kind !== 'EC' || curve === undefined) return null
  const size = COORDINATE_BYTES[curve]
  const coordinate = (from: number): Value => {
    let n = 0n
    for (const b of info.key.subarray(from, from + size)) n = (n << 8n) | BigInt(b)
    return numberFromBigInt(n)
  }
  return record({ Curve: newRecord(), X: coordinate(1), Y: coordinate(1 + size) })
}

export function keyAlgorithmToGo(info: PublicKeyInfo): number {
  return KEY_ALGORITHMS.get(info.algorithm)?.goNumber ?? 0
}

function time(ns: bigint): string {
  return formatTime(ns, UTC, '2006-01-02T15:04:05Z07:00')
}

/** The subject's other names, as certificates and requests have them. */
export function alternativeNamesToGo(extensions: readonly Extension[]): MutableRecord {
  const names = alternativeNames(extensions)
  return record({
    DNSNames: orNull(names.dns),
    EmailAddresses: orNull(names.email),
    IPAddresses: orNull(names.ip),
    URIStrings: orNull(names.uri),
  })
}

export function certificateToGo(c: Certificate): Value {
  const x = c.extensions
  const constraints = basicConstraints(x)
  const usages = extendedKeyUsage(x) ?? []
  const known = usages.flatMap((oid) => EXTENDED_KEY_USAGES.find((u) => u.oid === oid)?.goNumber ?? [])
  const unknown = usages.filter((oid) => !EXTENDED_KEY_USAGES.some((u) => u.oid === oid))
  const access = authorityInfo(x)
  const keyId = (id: Uint8Array | undefined): Value => (id === undefined ? null : b64(id))
  return record({
    Raw: b64(c.raw),
    RawTBSCertificate: b64(c.tbs),
    RawSubjectPublicKeyInfo: b64(c.publicKey.raw),
    RawSubject: b64(c.subject.raw),
    RawIssuer: b64(c.issuer.raw),
    Signature: b64(c.signature),
    SignatureAlgorithm: signatureAlgorithmOf(c.signatureAlgorithm).goNumber,
    PublicKeyAlgorithm: keyAlgorithmToGo(c.publicKey),
    PublicKey: publicKeyToGo(c.publicKey),
    Version: c.version,
    SerialNumber: numberFromBigInt(c.serial),
    Issuer: nameToGo(c.issuer),
    Subject: nameToGo(c.subject),
    NotBefore: time(c.notBefore),
    NotAfter: time(c.notAfter),
    KeyUsage: keyUsage(x) ?? 0,
    Extensions: extensionsToGo(x),
    ExtraExtensions: null,
    ExtKeyUsage: orNull(known),
    UnknownExtKeyUsage: orNull(unknown.map(arcs)),
    BasicConstraintsValid: constraints !== undefined,
    IsCA: constraints?.isCa ?? false,
    MaxPathLen: constraints === undefined ? 0 : (constraints.maxPathLength ?? -1),
    MaxPathLenZero: constraints?.maxPathLength === 0,
    SubjectKeyId: keyId(subjectKeyId(x)),
    AuthorityKeyId: keyId(authorityKeyId(x)),
    OCSPServer: orNull(access.ocsp),
    IssuingCertificateURL: orNull(access.issuers),
    CRLDistributionPoints: orNull(crlDistributionPoints(x)),
    PolicyIdentifiers: orNull(policyIdentifiers(x).map(arcs)),
    ...alternativeNamesToGo(x),
  })
}
