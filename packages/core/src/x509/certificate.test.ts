import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { VouchsafeError } from '../base/errors.ts'
import { attribute, caIssuerUrls, OID, parseCertificate, parsePem, parseRevocationList } from './index.ts'

const w = kit.derWriter
const refusal = (message: string) =>
  expect.objectContaining({ code: 'endorsement.malformed', message: expect.stringContaining(message) })

const plain = kit.makeCertificate({ subject: 'leaf', extensions: [...kit.AUTHORITY, kit.extendedKeyUsage('1.2.3')] })

test('reads what the fake authority wrote, and what OpenSSL reads', () => {
  const certificate = parseCertificate(plain.der)
  const reference = new X509Certificate(plain.der)
  expect(certificate.subject.text).toBe('CN=leaf')
  expect(certificate.serial.toUpperCase()).toBe(reference.serialNumber)
  expect(certificate.notAfter).toEqual(new Date(reference.validTo))
  expect(certificate.spki).toEqual(plain.key.spki)
  expect(reference.verify(plain.key.publicKey)).toBe(true)
  expect(certificate.basicConstraints).toEqual({ ca: true })
  expect([...(certificate.keyUsage ?? [])]).toEqual(['keyCertSign', 'cRLSign'])
  expect(certificate.extendedKeyUsage).toEqual(['1.2.3'])
})

const twice = kit.basicConstraints(true)
test.each<[string, Uint8Array, string]>([
  ['has a byte left over', w.join(plain.der, Uint8Array.of(0)), 'end at offset'],
  ['is cut short', plain.der.subarray(0, -1), 'Certificate at offset 0'],
  ['is empty', new Uint8Array(0), 'Certificate at offset 0: missing'],
  ['is version 2', kit.makeCertificate({ subject: 'x', version: 1 }).der, 'not version 3'],
  ['is version 1, which has no field for it', kit.makeCertificate({ subject: 'x', version: 0 }).der, 'version'],
  [
    'D06 carries an extension twice',
    kit.makeCertificate({ subject: 'x', extensions: [twice, twice] }).der,
    '2.5.29.19 twice',
  ],
  [
    'names two signature algorithms',
    kit.makeCertificate({ subject: 'x', outerSignature: 'ecdsa-sha384' }).der,
    'signatureAlgorithm',
  ],
  ['has bytes after its extensions', kit.makeCertificate({ subject: 'x', extra: w.nullValue() }).der, 'end at offset'],
  [
    'has bytes after an extension',
    extended(OID.basicConstraints, w.join(w.sequence(), w.nullValue())),
    'basicConstraints',
  ],
  ['has a path length and is no CA', extended(OID.basicConstraints, w.sequence(w.integer(1))), 'pathLenConstraint'],
  ['has an empty list of usages', extended(OID.extendedKeyUsage, w.sequence()), 'KeyPurposeId'],
  ['has a key usage without bits', extended(OID.keyUsage, w.bitString(new Uint8Array(0))), 'no usage at all'],
  ['has a key usage that nobody defined', extended(OID.keyUsage, w.bitString(Uint8Array.of(0, 0x40), 6)), 'bit 9'],
  ['writes a critical flag of false', withExplicitFalse(), 'default value encoded'],
])('refuses a certificate that %s', (_why, der, message) => {
  expect(() => parseCertificate(der)).toThrow(refusal(message))
})

test('refuses a certificate of over 64 KiB before reading it', () => {
  expect(() => parseCertificate(new Uint8Array(70_000))).toThrow(expect.objectContaining({ code: 'input.too-large' }))
})

test('K07 keeps a copy of its own: later writes to the input change nothing', () => {
  const input = new Uint8Array(plain.der)
  const certificate = parseCertificate(input)
  input.fill(0)
  expect(certificate.der).toEqual(plain.der)
  expect(certificate.spki).toEqual(plain.key.spki)
})

test('shows names so that no character can act on a terminal', () => {
  const { der } = kit.makeCertificate({ subject: 'a\u001b[2J,b\u202e' })
  const { subject } = parseCertificate(der)
  expect(subject.text).toBe('CN=a\\u{1b}[2J\\,b\\u{202e}')
  expect(attribute(subject, OID.commonName)).toBe('a\u001b[2J,b\u202e')
})

test.each(['rsa-sha1'] as const)('knows no scheme for %s', (signature) => {
  const { der } = kit.makeCertificate({ subject: 'x', keyKind: 'RSA-2048', signature })
  expect(parseCertificate(der).signatureAlgorithm.scheme).toBe(undefined)
})

describe.skipIf(missingVectors())('genuine certificates', () => {
  test.each([
    'gce/tpm/certs/gcp_ek_ak_ca_root.crt',
    'gce/tpm/certs/uca_tpm_rsa_sign_cert.pem',
    'gce/snp/roots/ask_ark_turin_vlek.pem',
    'gce/tdx/collateral/pck_chain_v5_sample.pem',
    'coco/nvidia/nvidia_device_root.pem',
  ])('agree with OpenSSL: %s', (name) => {
    const raw = readVector(name)
    const ders = raw[0] === 0x30 ? [raw] : parsePem(readVectorText(name), 'CERTIFICATE')
    for (const der of ders) {
      const ours = parseCertificate(der)
      const reference = new X509Certificate(der)
      expect(ours.serial.replace(/^00(?=.)/, '').toUpperCase()).toBe(reference.serialNumber.replace(/^0(?=..$)/, '0'))
      expect(ours.notBefore).toEqual(new Date(reference.validFrom))
      expect(ours.notAfter).toEqual(new Date(reference.validTo))
      expect(ours.basicConstraints?.ca ?? false).toBe(reference.ca)
    }
  })

  test('say where their issuer can be had', () => {
    const [der] = parsePem(readVectorText('gce/tpm/certs/uca_tpm_rsa_sign_cert.pem'), 'CERTIFICATE')
    expect(caIssuerUrls(parseCertificate(der!).extensions)).toEqual([
      'https://pki.goog/cloud_integrity/tpm_ek_intermediate_3.crt',
    ])
  })

  test('fail only with a coded error, whichever byte is changed and wherever they are cut', () => {
    for (const name of ['gce/snp/turin_v5_vcek.der', 'gce/tpm/certs/tpm_ek_intermediate_3.crt'])
      fuzz(readVector(name), parseCertificate)
    fuzz(readVector('gce/tdx/collateral/pckcrl_platform.der'), parseRevocationList)
  })
})

test.each([
  ['text before a block', 'x\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----', 'text before'],
  ['text after the last block', '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n\0', 'text after'],
  ['a private key among certificates', '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----', 'PRIVATE KEY'],
  ['odd base64', '-----BEGIN CERTIFICATE-----\nMA=\n-----END CERTIFICATE-----', 'not base64'],
  ['no block', '  \n', 'no block'],
])('K03 refuses PEM with %s', (_what, text, message) => {
  expect(() => parsePem(text, 'CERTIFICATE')).toThrow(refusal(message))
})

function fuzz(good: Uint8Array, parse: (bytes: Uint8Array) => unknown): void {
  const onlyCoded = (bytes: Uint8Array) => {
    try {
      parse(bytes)
    } catch (e) {
      expect(e).toBeInstanceOf(VouchsafeError)
      expect((e as VouchsafeError).code).not.toBe('internal')
    }
  }
  const at = fc.nat(good.length - 1)
  fc.assert(
    fc.property(at, fc.nat(255), at, (i, byte, cut) => {
      onlyCoded(good.with(i, byte))
      onlyCoded(good.subarray(0, cut))
    }),
    { seed: 1, numRuns: 1500 },
  )
}

function extended(oid: string, value: Uint8Array): Uint8Array {
  return kit.makeCertificate({ subject: 'x', extensions: [{ oid, value }] }).der
}

function withExplicitFalse(): Uint8Array {
  const extension = w.sequence(w.oid('1.2.3'), w.boolean(false), w.octetString())
  return kit.makeCertificate({ subject: 'x', extra: w.explicit(3, w.sequence(extension)) }).der
}
