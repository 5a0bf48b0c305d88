import { constants, createHash, generateKeyPairSync, sign as nodeSign, type KeyObject } from 'node:crypto'
import * as d from './der.ts'

/**
 * A certificate authority that does what it is told, also what no authority should: every defect that a verifier must
 * notice can be asked for by name.
 */

export interface TestKey {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
}

export type KeyKind = 'P-256' | 'P-384' | 'RSA-2048' | 'Ed25519'

export function makeKey(kind: KeyKind): TestKey {
  const { privateKey, publicKey } =
    kind === 'RSA-2048'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : kind === 'Ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: kind })
  return { privateKey, publicKey, spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })) }
}

export type SignatureName = 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-sha256' | 'rsa-sha1' | 'pss-sha384' | 'ed25519'

const SHA384 = '2.16.840.1.101.3.4.2.2'

/** AlgorithmIdentifier of a signature, as the real vendors write it: AMD's PSS parameters include the trailer field. */
export function signatureAlgorithm(name: SignatureName): Uint8Array {
  switch (name) {
    case 'ecdsa-sha256':
      return d.sequence(d.oid('1.2.840.10045.4.3.2'))
    case 'ecdsa-sha384':
      return d.sequence(d.oid('1.2.840.10045.4.3.3'))
    case 'rsa-sha256':
      return d.sequence(d.oid('1.2.840.113549.1.1.11'), d.nullValue())
    case 'rsa-sha1':
      return d.sequence(d.oid('1.2.840.113549.1.1.5'), d.nullValue())
    case 'ed25519':
      return d.sequence(d.oid('1.3.101.112'))
    case 'pss-sha384': {
      const sha384 = d.sequence(d.oid(SHA384), d.nullValue())
      return d.sequence(
        d.oid('1.2.840.113549.1.1.10'),
        d.sequence(
          d.explicit(0, sha384),
          d.explicit(1, d.sequence(d.oid('1.2.840.113549.1.1.8'), sha384)),
          d.explicit(2, d.integer(48)),
          d.explicit(3, d.integer(1)),
        ),
      )
    }
  }
}

export function signDer(name: SignatureName, key: KeyObject, data: Uint8Array): Uint8Array {
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
  const hash = name === 'ed25519' ? null : `sha${name.split('sha')[1]}`
  return new Uint8Array(nodeSign(hash, data, name === 'pss-sha384' ? pss : key))
}

export interface TestExtension {
  readonly oid: string
  readonly critical?: boolean
  readonly value: Uint8Array
}

/** Attribute OID and value, least specific first; an empty list is an empty subject. */
export type TestName = readonly (readonly [oid: string, value: string])[]

export interface CertificateSpec {
  /** `CN` alone when it is a string. */
  readonly subject: string | TestName
  /** Self-signed when left out. */
  readonly issuer?: TestCertificate
  readonly key?: TestKey
  /** P-256 unless told. */
  readonly keyKind?: KeyKind
  readonly serial?: number | bigint
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly extensions?: readonly TestExtension[]
  /** Chosen to suit the issuer's key unless told. */
  readonly signature?: SignatureName
  /** Written into the unsigned part only: the two then disagree. */
  readonly outerSignature?: SignatureName
  /** 2 means version 3. */
  readonly version?: number
  /** Appended inside the signed part, after the extensions. */
  readonly extra?: Uint8Array
}

export interface TestCertificate {
  readonly der: Uint8Array
  readonly key: TestKey
  /** Encoded subject, to be copied into whatever it issues. */
  readonly name: Uint8Array
}

export const TEST_NOT_BEFORE = new Date('2024-01-01T00:00:00Z')
export const TEST_NOT_AFTER = new Date('2044-01-01T00:00:00Z')

let nextSerial = 0x1000

export function makeCertificate(spec: CertificateSpec): TestCertificate {
  const key = spec.key ?? makeKey(spec.keyKind ?? 'P-256')
  const name = encodeName(spec.subject)
  const signer = spec.issuer?.key ?? key
  const signature = spec.signature ?? suitable(signer.privateKey)
  const algorithm = signatureAlgorithm(signature)
  const extensions = spec.extensions ?? []
  const tbs = d.sequence(
    ...(spec.version === 0 ? [] : [d.explicit(0, d.integer(spec.version ?? 2))]),
    d.integer(spec.serial ?? nextSerial++),
    algorithm,
    spec.issuer?.name ?? name,
    d.sequence(d.time(spec.notBefore ?? TEST_NOT_BEFORE), d.time(spec.notAfter ?? TEST_NOT_AFTER)),
    name,
    key.spki,
    ...(extensions.length > 0 ? [d.explicit(3, d.sequence(...extensions.map(encodeExtension)))] : []),
    ...(spec.extra ? [spec.extra] : []),
  )
  const outer = spec.outerSignature ? signatureAlgorithm(spec.outerSignature) : algorithm
  const der = d.sequence(tbs, outer, d.bitString(signDer(signature, signer.privateKey, tbs)))
  return { der, key, name }
}

export interface RevocationListSpec {
  readonly issuer: TestCertificate
  readonly revoked?: readonly (number | bigint)[]
  readonly thisUpdate?: Date
  /** Null leaves it out. */
  readonly nextUpdate?: Date | null
  readonly number?: number
  readonly extensions?: readonly TestExtension[]
  readonly signature?: SignatureName
}

export function makeRevocationList(spec: RevocationListSpec): Uint8Array {
  const signature = spec.signature ?? suitable(spec.issuer.key.privateKey)
  const algorithm = signatureAlgorithm(signature)
  const thisUpdate = spec.thisUpdate ?? new Date('2025-01-01T00:00:00Z')
  const entries = (spec.revoked ?? []).map((serial) => d.sequence(d.integer(serial), d.time(thisUpdate)))
  const number = { oid: '2.5.29.20', value: d.integer(spec.number ?? 1) }
  const tbs = d.sequence(
    d.integer(1),
    algorithm,
    spec.issuer.name,
    d.time(thisUpdate),
    ...(spec.nextUpdate === null ? [] : [d.time(spec.nextUpdate ?? new Date('2035-01-01T00:00:00Z'))]),
    ...(entries.length > 0 ? [d.sequence(...entries)] : []),
    d.explicit(0, d.sequence(...[number, ...(spec.extensions ?? [])].map(encodeExtension))),
  )
  return d.sequence(tbs, algorithm, d.bitString(signDer(signature, spec.issuer.key.privateKey, tbs)))
}

export function basicConstraints(ca: boolean, pathLength?: number): TestExtension {
  const parts = [...(ca ? [d.boolean(true)] : []), ...(pathLength === undefined ? [] : [d.integer(pathLength)])]
  return { oid: '2.5.29.19', critical: true, value: d.sequence(...parts) }
}

const KEY_USAGE_BITS = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const

export function keyUsage(...usages: readonly (keyof typeof KEY_USAGE_BITS)[]): TestExtension {
  const octet = usages.reduce((sum, usage) => sum | (0x80 >> KEY_USAGE_BITS[usage]), 0)
  const unused = Math.clz32(octet & -octet) === 32 ? 0 : 31 - Math.clz32(octet & -octet)
  return { oid: '2.5.29.15', critical: true, value: d.bitString(Uint8Array.of(octet), unused) }
}

export function extendedKeyUsage(...oids: readonly string[]): TestExtension {
  return { oid: '2.5.29.37', value: d.sequence(...oids.map(d.oid)) }
}

export function crlDistributionPoint(url: string): TestExtension {
  const name = d.implicit(6, new TextEncoder().encode(url))
  return { oid: '2.5.29.31', value: d.sequence(d.sequence(d.explicit(0, d.explicit(0, name)))) }
}

/** Subject and authority key identifiers, the SHA-1 of either key, as RFC 5280 suggests. */
export function keyIdentifiers(subject: TestKey, issuer: TestKey): readonly TestExtension[] {
  const id = (key: TestKey) => createHash('sha1').update(key.spki).digest()
  return [
    { oid: '2.5.29.14', value: d.octetString(id(subject)) },
    { oid: '2.5.29.35', value: d.sequence(d.implicit(0, id(issuer))) },
  ]
}

/** What the TCG profile puts into an EK certificate with an empty subject: a critical alternative name. */
export function tpmAlternativeName(tpm: { manufacturer: string; model: string; version: string }): TestExtension {
  const name = encodeName([
    ['2.23.133.2.1', tpm.manufacturer],
    ['2.23.133.2.2', tpm.model],
    ['2.23.133.2.3', tpm.version],
  ])
  return { oid: '2.5.29.17', critical: true, value: d.sequence(d.explicit(4, name)) }
}

/** What most authorities in a chain carry. */
export const AUTHORITY: readonly TestExtension[] = [basicConstraints(true), keyUsage('keyCertSign', 'cRLSign')]

function encodeName(name: string | TestName): Uint8Array {
  const pairs: TestName = typeof name === 'string' ? [['2.5.4.3', name]] : name
  return d.sequence(...pairs.map(([type, value]) => d.set(d.sequence(d.oid(type), d.utf8String(value)))))
}

function encodeExtension({ oid, critical, value }: TestExtension): Uint8Array {
  return d.sequence(d.oid(oid), ...(critical ? [d.boolean(true)] : []), d.octetString(value))
}

function suitable(key: KeyObject): SignatureName {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return 'rsa-sha256'
    case 'ed25519':
      return 'ed25519'
    default:
      return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'ecdsa-sha384' : 'ecdsa-sha256'
  }
}
