import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parsePem, readEkCertificate } from './index.ts'

const tpm = { manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' }
const PAIRS = [
  ['2.23.133.2.1', tpm.manufacturer],
  ['2.23.133.2.2', tpm.model],
  ['2.23.133.2.3', tpm.version],
] as const
const ek = (extensions: readonly kit.TestExtension[]) => kit.makeCertificate({ subject: [], extensions }).der
const good = ek([kit.tpmAlternativeName(tpm)])
const refusal = (message: string) =>
  expect.objectContaining({ code: 'endorsement.malformed', message: expect.stringContaining(message) })

test('reads who made the TPM', () => {
  expect(readEkCertificate(good).tpm).toEqual(tpm)
})

test.each([0x00, 0xff])('cuts off unwritten NV memory of %i', (filler) => {
  const padded = kit.derWriter.join(good, new Uint8Array(300).fill(filler))
  expect(readEkCertificate(padded).certificate.der).toEqual(good)
})

test.each<[string, Uint8Array, string]>([
  ['is followed by something else', kit.derWriter.join(good, Uint8Array.of(0, 1)), 'end at offset'],
  ['is followed by a mix of both fillers', kit.derWriter.join(good, Uint8Array.of(0xff, 0x00)), 'end at offset'],
  ['has no model', ek([without('2.23.133.2.2')]), 'must each stand there once'],
  ['has two models', ek([doubled()]), 'must each stand there once'],
  ['names its manufacturer loosely', ek([kit.tpmAlternativeName({ ...tpm, manufacturer: 'IBM' })]), 'id:XXXXXXXX'],
])('refuses an EK certificate that %s', (_what, der, message) => {
  expect(() => readEkCertificate(der)).toThrow(refusal(message))
})

describe.skipIf(missingVectors())('Google’s', () => {
  test.each([
    ['uca_tpm_rsa_enc', { manufacturer: 'id:474F4F47', model: 'vTPM', version: 'id:20160511' }],
    ['pca_tpm_rsa_enc', undefined],
  ])('%s', (name, expected) => {
    const [der] = parsePem(readVectorText(`gce/tpm/certs/${name}_cert.pem`), 'CERTIFICATE')
    expect(readEkCertificate(der!).tpm).toEqual(expected)
  })
})

function names(...pairs: readonly (readonly [string, string])[]): kit.TestExtension {
  const w = kit.derWriter
  const rdns = pairs.map(([oid, value]) => w.set(w.sequence(w.oid(oid), w.utf8String(value))))
  return { oid: '2.5.29.17', critical: true, value: w.sequence(w.explicit(4, w.sequence(...rdns))) }
}

function without(oid: string): kit.TestExtension {
  return names(...PAIRS.filter(([type]) => type !== oid))
}

function doubled(): kit.TestExtension {
  return names(...PAIRS, ['2.23.133.2.2', 'other'])
}
